"""The report: tables and plots made from the JSON files in metrics/ alone.

`tables` turns files into frames, `draw` into plots, `render` puts them into the templates beside
it: page.html.jinja is reports/index.html, the others are parts of README and docs. What a table
says is written in the templates; what has not been measured yet is left out, with the command for
it.
"""
