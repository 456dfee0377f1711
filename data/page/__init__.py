"""Pages to look at: HTML that needs no network, reads on a phone, in the dark and by keyboard, and escapes every name.

page.py fills a template in the house's clothes (base.html, style.css), pictures.py puts pictures into it.
"""

from data.page.page import make_page, write_page
from data.page.pictures import jpeg, picture_uri

__all__ = ["jpeg", "make_page", "picture_uri", "write_page"]
