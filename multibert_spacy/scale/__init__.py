"""More texts than one machine holds: `apply` tags files of them, on one machine or many.

    files ─scan─► plan: parts of a file, cut between groups ─engine─► one output file per part

The unit of work is a part: neighbouring rows of one input file, by default 4,096 texts or the
few more that end a thread. A part is known by where it begins in its file, so that an engine is
handed numbers and no texts, and whoever gets a number reads, tags and writes on its own. All three
engines do the same to the same parts, so their rows are equal.

What a killed run leaves is either a whole output file, under its own name, or one that nobody
looks at. Hence `resume` is: do the parts whose file is not there. It needs no checkpoint of an
engine's own, of which Spark has none for this and Ray's asks for rows that have a unique id.
Retries, scheduling and back-pressure are the engines'.
"""

from .run import apply as apply
