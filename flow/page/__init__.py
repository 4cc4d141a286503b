"""The report of a project as one page of HTML: what its folder holds, shown."""
