"""Run the test functions of one file on MicroPython: micropython run_one.py FILE

Prints a line for each failure and, last, `result PASSED FAILED`.
"""

import sys


def run(path):
    folder, name = path.rsplit("/", 1)
    sys.path.insert(0, folder)
    module = __import__(name[:-3])
    passed = failed = 0
    for word in sorted(dir(module)):
        test = getattr(module, word)
        if not word.startswith("test_") or not callable(test):
            continue
        try:
            test()
            passed += 1
        except Exception as error:  # noqa: BLE001 - the runner reports whatever a test raises
            failed += 1
            print("FAILED %s::%s" % (path, word))
            sys.print_exception(error)
    print("result %d %d" % (passed, failed))


run(sys.argv[1])
