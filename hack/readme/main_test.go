package main

import "testing"

func TestReplacePutsTheBlockBetweenItsMarkers(t *testing.T) {
	got, err := replace("a\n<!-- begin x -->\nold\n<!-- end x -->\nb\n", "x", "new")
	if err != nil {
		t.Fatal(err)
	}
	if want := "a\n<!-- begin x -->\nnew\n<!-- end x -->\nb\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestReplaceRefusesATextWithoutMarkers(t *testing.T) {
	for name, text := range map[string]string{"none": "a", "not closed": "<!-- begin x -->\n"} {
		if _, err := replace(text, "x", "new"); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestTheExcerptKeepsPartsAndMarksWhatIsLeftOut(t *testing.T) {
	got := excerpt("hello\nworld\n\nBuild\n  x\n\nStart\n  y\n\nStop\n  z\n")
	if want := "…\n\nStart\n  y\n\n…"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestMeasurementsOfApprovalsBecomeTables(t *testing.T) {
	got, err := approvalsTable("goos: linux\n" +
		"BenchmarkWaiting/versions=10/list-2 \t 30\t 12796002 ns/op\t 7.643 all-ms\t 4.167 page-ms\n" +
		"BenchmarkWaiting/versions=10/approve-2 \t 30\t 32029070 ns/op\t 11.65 decide-ms\t 17.24 reconcile-ms\n" +
		"BenchmarkAdmission/change-a-program-2 \t 50\t 147643 ns/op\t 1.054 cost-ms\t 6.695 with-ms\t 5.641 without-ms\nPASS\n")
	if err != nil {
		t.Fatal(err)
	}
	want := "| versions that wait | a page of 10 of the queue | all of it | approve one | until the version says so |\n|---|---|---|---|---|\n" +
		"| 10 | 4.2 ms | 7.6 ms | 11.7 ms | 17.2 ms |\n" +
		"\n| write (a dry run, on two API servers by turns) | without policies | with | they cost |\n|---|---|---|---|\n" +
		"| change a program | 5.6 ms | 6.7 ms | 1.1 ms |"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestNoMeasurementsAreNoTable(t *testing.T) {
	const one = "BenchmarkAdmission/x-2 50 1 ns/op 1 with-ms\n"
	for name, output := range map[string]string{"nothing": "PASS\n", "a run that failed": one + "--- FAIL: BenchmarkWaiting\n"} {
		if got, err := approvalsTable(output); err == nil {
			t.Errorf("%s: got %q and no error", name, got)
		}
	}
}

func TestTheTableHasARowForEveryTime(t *testing.T) {
	got, err := figuresTable([]byte(`{"time":"T","cpus":2,"go":"go1","os":"linux","lifeSeconds":3,
		"startSeconds":{"total":2,"controlPlane":1,"install":0.5},"configMapWriteToServedMs":{"samples":[1,2],"min":1,"median":1.5,"max":2}}`))
	if err != nil {
		t.Fatal(err)
	}
	want := "Measured by the checked demo at T on 2 cores, linux, go1.\n\n" +
		"| what | least | median | most | samples |\n|---|---|---|---|---|\n" +
		"| `kubectl apply` of a version → artifact in the registry and in status | 0.0 ms | 0.0 ms | 0.0 ms | 0 |\n" +
		"| last approval → first share served over HTTP | 0.0 ms | 0.0 ms | 0.0 ms | 0 |\n" +
		"| write of the document's ConfigMap → served over HTTP | 1.0 ms | 1.5 ms | 2.0 ms | 2 |\n" +
		"| 1,000 users ask what they get | 0.0 ms | 0.0 ms | 0.0 ms | 0 |\n" +
		"\nEverything starts in 2.0 s, of which 1.0 s are the control plane and 0.5 s the installation; the life takes 3.0 s."
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
