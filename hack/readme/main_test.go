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
	got, err := approvalsTable(&benchmarks{Figures: []benchmark{
		{"waiting.versions=10.list.all_ms", 7.643, "ms"}, {"waiting.versions=10.list.page_ms", 4.167, "ms"},
		{"waiting.versions=10.approve.decide_ms", 11.65, "ms"}, {"waiting.versions=10.approve.reconcile_ms", 17.24, "ms"},
		{"admission.change-a-program.cost_ms", 1.054, "ms"}, {"admission.change-a-program.with_ms", 6.695, "ms"}, {"admission.change-a-program.without_ms", 5.641, "ms"},
	}})
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

func TestMeasurementsOfDetectionBecomeATable(t *testing.T) {
	got, err := detectTable(&benchmarks{Figures: []benchmark{
		{"detect.lexer_mib_per_second", 104.7, "MiB/s"}, {"detect.mib_per_second", 4.31, "MiB/s"}, {"detect.precision", 0.9884, "1"},
		{"detect.recall", 0.9143, "1"}, {"detect.snippets", 220, "1"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	want := "| labelled scripts | precision | recall | speed | the lexer alone, which finds nothing |\n|---|---|---|---|---|\n" +
		"| 220 | 0.99 | 0.91 | 4.3 MiB/s | 104.7 MiB/s |"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestATableHasNoHoles(t *testing.T) {
	some := &benchmarks{Figures: []benchmark{{"detect.snippets", 3, "1"}, {"waiting.versions=10.list.all_ms", 1, "ms"}, {"admission.x.cost_ms", 1, "ms"}}}
	for name, render := range map[string]func(*benchmarks) (string, error){"approvals": approvalsTable, "publish": publishTable, "detect": detectTable, "scale": scaleTable} {
		for what, b := range map[string]*benchmarks{"nothing": {}, "some": some} {
			if got, err := render(b); err == nil {
				t.Errorf("%s of %s: got %q and no error", name, what, got)
			}
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
