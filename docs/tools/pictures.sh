#!/usr/bin/env bash
# Makes the pictures in docs/img: docs/tools/pictures.sh MODEL, with chromium and a Persian font
# (Debian: chromium fonts-noto-core fonts-noto-color-emoji).
set -euo pipefail
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

picture() { # address, name, width, height
  chromium --headless=new --no-sandbox --disable-gpu --hide-scrollbars \
    --user-data-dir="$work/profile" --virtual-time-budget=4000 \
    --window-size="$3,$4" --screenshot="$work/$2" "$1"
  "$PYTHON" -c 'import sys; from PIL import Image; Image.open(sys.argv[1]).convert("RGB").quantize(128).save(sys.argv[2], optimize=True)' \
    "$work/$2" "docs/img/$2"
}

PYTHON=${PYTHON:-.venv/bin/python}
"$PYTHON" -m scripts.show "$1" docs/img/threads.jsonl --html "$work/threads.html"
sed -i 's|</head>|<style>body{padding:0.5rem 2rem!important} figure{margin:0 0 1rem!important} h2{margin:0.5rem 0!important;font-size:1.1rem}</style></head>|' "$work/threads.html"
picture "file://$work/threads.html" threads.png 720 340
NO_MKDOCS_2_WARNING=1 "$PYTHON" -m mkdocs build --strict --quiet --site-dir "$work/site"
picture "file://$work/site/index.html" front.png 1280 1000
picture "file://$work/site/quickstart/index.html" quickstart.png 1280 1400
