"""t"""
from __future__ import annotations
import os, time
import pytest
from governance.alerts.conftest import OPERATORS
from governance.alerts.forty import *
from governance.alerts.playing import *
from governance.deployment.support import PACK, Site
from governance.outing import done, working_in
from governance.vaults import PEOPLE
def test_it(found_vault, tmp_path, monkeypatch, cheap_scrypt):
    vault, force = found_vault({**PEOPLE, **OPERATORS}, packs=[PACK])
    for module in ("asking", "authority", "retention"):
        monkeypatch.setattr(f"lfr_kernel.cli.{module}.read_clocks", force.clocks)
    site = Site(vault, force, tmp_path)
    site.rows = rows()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LFR_VAULT", str(vault.folder))
    (tmp_path/"pass").write_text("a long passphrase of many words\n"); (tmp_path/"pass").chmod(0o600)
    done("recipient", "new", "control-room", "--out", "control-room", "--passphrase-file", "pass")
    post = Post(site, 1, assessors=2, on_disagreement="third-person", stop_min_false=10)
    post.open()
    post.saw(9000)
    post.recall(RECALLED)
    t=time.time()
    post.play(FORTY)
    print(time.time()-t, len(post.done))
    print(post.end(seen=12345, lost={"probe_late": 3}))
    print(done("alerts","list","--all"))
    print(done("record","1"))
    assert 0
