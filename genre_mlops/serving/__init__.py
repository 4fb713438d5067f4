"""The champion over HTTP: the service, and how a bento of it is made."""
