import unittest

import greet


class Greet(unittest.TestCase):
    def test_greet(self):
        self.assertEqual(greet.greet("test"), "Hello, test!")
