#!/usr/bin/env bash
# browser.sh: a Chromium for the tests of the console, where there is none and this user may install one (Debian, root).
# Without it those tests are skipped, and say so.
set -euo pipefail
for name in chromium chromium-browser google-chrome; do
    command -v "$name" >/dev/null && exit 0
done
if [[ $(id -u) != 0 ]] || ! command -v apt-get >/dev/null; then
    echo "No Chromium here: the tests of the console are skipped. Install one to run them (apt-get install chromium)."
    exit 0
fi
echo "Installing Chromium for the tests of the console (about a minute) ..."
export DEBIAN_FRONTEND=noninteractive
if ! { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium; } >/dev/null; then
    echo "Chromium could not be installed: the tests of the console are skipped."
fi
