"""The report: reports/index.html and its plots, made from the JSON files in metrics/ alone.

`page` has what a page is made of, `data` reads the files, `draw` draws; a module for each section
turns numbers into tables, plots and sentences. What has not been measured yet is left out, with
the command that measures it.
"""
