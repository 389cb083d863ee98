#!/usr/bin/env python3
"""Makes crawlers.tsv and user-agents.json anew from the two lists that they are taken from.

    npm pack crawler-user-agents uap-core && for f in *.tgz; do tar xzf "$f" --one-top-level; done
    python3 services/analytics/data/refresh.py crawler-user-agents-*/package uap-core-*/package

A new list changes how clicks are classified from then on; a rebuild applies it to the past.
"""

import json
import pathlib
import sys

import yaml

# In-app browsers, which people use, that the list takes for bots.
NOT_BOTS = {"MetaIAB Facebook"}

crawlers, browsers = (pathlib.Path(folder) for folder in sys.argv[1:3])
here = pathlib.Path(__file__).parent


def version(folder):
    return json.loads((folder / "package.json").read_text())["version"]


entries = json.loads((crawlers / "crawler-user-agents.json").read_text())
with (here / "crawlers.tsv").open("w") as out:
    out.write(f"# crawler-user-agents {version(crawlers)}, MIT, Martin Monperrus and contributors\n")
    for entry in entries:
        if entry["pattern"] not in NOT_BOTS:
            kind = "preview" if "social-preview" in entry.get("tags", []) else "bot"
            out.write(f"{kind}\t{entry['pattern']}\n")

regexes = yaml.safe_load((browsers / "regexes.yaml").read_text())
lines = {
    "source": f"uap-core {version(browsers)}, Apache-2.0, the ua-parser project",
    "user_agent_parsers": regexes["user_agent_parsers"],
    "os_parsers": regexes["os_parsers"],
}
(here / "user-agents.json").write_text(json.dumps(lines, indent=0, ensure_ascii=False) + "\n")
