#!/usr/bin/env python3
"""Writes a terminal screen as SVG: text with SGR sequences on standard input, SVG on standard output.

Understands what the monitor writes (bold, faint, reverse, the eight colours) and no more. Every run of text stands at
its cell and is stretched to its cells, so that the grid holds in whatever monospace font the viewer has; block
characters are drawn as rectangles, since fonts disagree about them.

Usage: tmux capture-pane -e -p -N | screen-to-svg.py TITLE > screen.svg
"""

import re
import sys
from html import escape

CELL_WIDTH, CELL_HEIGHT, BASELINE, MARGIN = 8.4, 18, 13.5, 12
BACKGROUND, FOREGROUND = "#0d1117", "#d0d7de"
COLOURS = ["#484f58", "#ff7b72", "#3fb950", "#d29922", "#58a6ff", "#bc8cff", "#39c5cf", "#d0d7de"]
SGR = re.compile("\x1b\\[([0-9;]*)m")
WORDS = re.compile(r"[^ ]+(?: [^ ]+)*")
BLOCKS = re.compile("([\u2581-\u2588]+)")


class Pen:
    """How text looks from here on."""

    def __init__(self):
        self.colour, self.bold, self.faint, self.reverse = None, False, False, False

    def obey(self, codes):
        for code in [int(code or 0) for code in codes.split(";")]:
            if code == 0:
                self.__init__()
            elif code == 1:
                self.bold = True
            elif code == 2:
                self.faint = True
            elif code == 22:
                self.bold = self.faint = False
            elif code in (7, 27):
                self.reverse = code == 7
            elif 30 <= code <= 37:
                self.colour = COLOURS[code - 30]
            elif code == 39:
                self.colour = None
            elif code == 49:
                pass  # the terminal's own background, which is the only one there is here
            else:
                sys.exit(f"screen-to-svg.py: SGR code {code} has no picture yet; teach Pen.obey")


def draw(text, column, row, pen):
    """One run of text in one look."""
    x, y = MARGIN + column * CELL_WIDTH, MARGIN + row * CELL_HEIGHT
    width = len(text) * CELL_WIDTH
    fill = pen.colour or FOREGROUND
    if pen.reverse:
        yield f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{CELL_HEIGHT}" fill="{fill}"/>'
        fill = BACKGROUND
    look = (' font-weight="bold"' if pen.bold else "") + (' opacity="0.6"' if pen.faint else "")
    for part in BLOCKS.split(text):
        width = len(part) * CELL_WIDTH
        if BLOCKS.fullmatch(part):
            for place, block in enumerate(part):
                height = (ord(block) - 0x2580) / 8 * (CELL_HEIGHT - 3)
                left, top = x + place * CELL_WIDTH, y + CELL_HEIGHT - 1.5 - height
                yield (f'<rect x="{left:.1f}" y="{top:.1f}" width="{CELL_WIDTH - 1:.1f}" height="{height:.1f}"'
                       f' fill="{fill}"/>')
        else:
            # Not every viewer keeps blanks that follow each other.
            for words in WORDS.finditer(part):
                yield (f'<text x="{x + words.start() * CELL_WIDTH:.1f}" y="{y + BASELINE:.1f}"'
                       f' textLength="{len(words[0]) * CELL_WIDTH:.1f}" fill="{fill}"{look}>{escape(words[0])}</text>')
        x += width


def main():
    lines = sys.stdin.read().rstrip("\n").split("\n")
    columns = max(len(SGR.sub("", line)) for line in lines)
    width, height = columns * CELL_WIDTH + 2 * MARGIN, len(lines) * CELL_HEIGHT + 2 * MARGIN
    title = escape(" ".join(sys.argv[1:]) or "terminal")
    print(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}"'
          f' height="{height:.0f}" role="img" aria-label="{title}">')
    print(f"<title>{title}</title>")
    print(f'<rect width="100%" height="100%" rx="6" fill="{BACKGROUND}"/>')
    print('<g font-family="ui-monospace, \'DejaVu Sans Mono\', Menlo, Consolas, monospace" font-size="14"'
          ' xml:space="preserve">')
    pen = Pen()
    for row, line in enumerate(lines):
        column = 0
        for place, part in enumerate(SGR.split(line)):
            if place % 2:
                pen.obey(part)
            elif part:
                print("\n".join(draw(part, column, row, pen)))
                column += len(part)
    print("</g>\n</svg>")


main()
