import unittest
import unittest.runner

unittest.runner.time.perf_counter = lambda: 0.0


class Sums(unittest.TestCase):
    def test_right(self):
        self.assertEqual(1 + 1, 2)

    def test_wrong(self):
        self.assertEqual(1 + 1, 3)


if __name__ == "__main__":
    unittest.main()
