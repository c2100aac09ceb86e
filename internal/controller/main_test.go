package controller_test

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"testing"
)

// sharedDir is for files that several tests need. It is removed after the last of them.
var sharedDir string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) (code int) {
	var err error
	if sharedDir, err = os.MkdirTemp("", "controller-tests-"); err != nil {
		fmt.Fprintln(os.Stderr, "creating a folder for the tests:", err)
		return 1
	}
	defer func() {
		if err := os.RemoveAll(sharedDir); err != nil {
			fmt.Fprintln(os.Stderr, "removing the tests' folder:", err)
			code = 1
		}
	}()
	collectLess()
	if err := runMoreSideBySide(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// collectLess lets heaps grow to four times of what is in use before garbage is collected: a
// fifth of what the control plane computes for these tests is that, and memory is at hand.
// The environment is that of the control plane and of the registry, too.
func collectLess() {
	const percent = 300
	if os.Getenv("GOGC") != "" {
		return // somebody knows better
	}
	debug.SetGCPercent(percent)
	_ = os.Setenv("GOGC", strconv.Itoa(percent)) // the name is a good one
}

// runMoreSideBySide lets more parallel tests run than there are processors, if nobody has
// said how many: most of the time they wait for an answer of another process.
func runMoreSideBySide() error {
	flag.Parse()
	said := false
	flag.Visit(func(f *flag.Flag) { said = said || f.Name == "test.parallel" })
	if said {
		return nil
	}
	if err := flag.Set("test.parallel", strconv.Itoa(2*runtime.GOMAXPROCS(0))); err != nil {
		return fmt.Errorf("letting tests run side by side: %w", err)
	}
	return nil
}
