"""Repositories of the Hugging Face hub and of ModelScope: listed, pinned, fetched and checked, file by file.

A revision is resolved once and named by what cannot change: the commit on the Hugging Face hub; on ModelScope, which
names no commits, the digests of the files. Every file is checked against the digest the hub lists for it.
"""
