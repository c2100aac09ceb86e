package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
)

// doctorOptions are the flags of doctor.
type doctorOptions struct {
	config       *genericclioptions.ConfigFlags
	streams      genericiooptions.IOStreams
	system       string
	publications string
	output       string
}

func newDoctor(streams genericiooptions.IOStreams) *cobra.Command {
	o := &doctorOptions{config: genericclioptions.NewConfigFlags(true), streams: streams}
	cmd := &cobra.Command{
		Use:   "doctor [-n GROUP]",
		Short: "Tell what is missing in a developer group, or in the installation",
		Long: `Tell what is missing in a developer group (-n GROUP), or in the installation
(without -n), and what to do about each.

It looks with your rights and changes nothing. What you may not see is told as not
known: an administrator of the group, or of the cluster, sees more. No Secret's
values are printed. Of an installation it also asks the registry, from this machine and
without credentials, whether it is there.

A line begins with ✓, with ✗ where something is missing, or with ! where it is not
known, and what to do stands below it. Exits with 0
when nothing is missing, with 1 when something is, and with 2 when the cluster could
not be asked.`,
		Example: `  # As a developer, or as an administrator of the group
  kubectl miniprogram doctor -n shop-team

  # The installation
  kubectl miniprogram doctor`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context()) },
	}
	flags := cmd.Flags()
	flags.StringVar(&o.system, "system-namespace", "miniprogram-system", "namespace of the manager")
	flags.StringVar(&o.publications, "publication-namespace", "miniprogram-published", "namespace of what is published")
	flags.StringVarP(&o.output, "output", "o", "", "json, for machines; lines when it is left out")
	o.config.AddFlags(flags)
	return cmd
}

func (o *doctorOptions) run(ctx context.Context) error {
	if o.output != "" && o.output != "json" {
		return fmt.Errorf("--output is %q: write json, or leave it out for lines", o.output)
	}
	c, err := connect(o.config, io.Discard) // warnings are about what is asked here
	if err != nil {
		return err
	}
	g := &gatherer{client: c.client, system: o.system}
	var found []diagnosis
	if group := explicitNamespace(o.config); group != "" {
		facts, err := g.group(ctx, group)
		if err != nil {
			return err
		}
		found = diagnoseGroup(facts)
	} else {
		facts, err := g.installation(ctx, o.publications)
		if err != nil {
			return err
		}
		found = diagnoseInstallation(facts)
	}
	if o.output == "json" {
		err = writeDiagnosesJSON(o.streams.Out, found)
	} else {
		err = writeDiagnoses(o.streams.Out, found)
	}
	if err == nil && count(found, levelMissing) > 0 {
		err = errReported
	}
	return err
}

// Levels of a diagnosis.
const (
	levelOK      = "ok"
	levelMissing = "missing"
	levelUnknown = "unknown"
)

// diagnosis is one thing that was looked at.
type diagnosis struct {
	// About is the heading that it stands under.
	About string `json:"about"`
	Level string `json:"level"`
	// Text says what was found.
	Text string `json:"text"`
	// Do are commands, or what to ask somebody for, a line each. Empty: nothing is to do.
	Do []string `json:"do,omitempty"`
}

// diagnoses collects them under one heading after the other.
type diagnoses struct {
	about string
	all   []diagnosis
}

func (d *diagnoses) add(level, text string, do ...string) {
	d.all = append(d.all, diagnosis{About: d.about, Level: level, Text: text, Do: do})
}

func (d *diagnoses) ok(format string, args ...any) { d.add(levelOK, fmt.Sprintf(format, args...)) }

// unknown is what the caller may not see.
func (d *diagnoses) unknown(what string, err error) {
	d.add(levelUnknown, what+" is not known: "+err.Error())
}

func count(found []diagnosis, level string) int {
	n := 0
	for _, d := range found {
		if d.Level == level {
			n++
		}
	}
	return n
}

func writeDiagnosesJSON(w io.Writer, found []diagnosis) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(struct {
		Findings []diagnosis `json:"findings"`
		Missing  int         `json:"missing"`
		Unknown  int         `json:"unknown"`
	}{found, count(found, levelMissing), count(found, levelUnknown)})
}

// marks begin a line.
var marks = map[string]string{levelOK: "✓", levelMissing: "✗", levelUnknown: "!"}

func writeDiagnoses(w io.Writer, found []diagnosis) error {
	about := ""
	var errs []error
	line := func(format string, args ...any) {
		_, err := fmt.Fprintf(w, format, args...)
		errs = append(errs, err)
	}
	for _, d := range found {
		if d.About != about {
			about = d.About
			line("%s\n", about)
		}
		line("  %s %s\n", marks[d.Level], plain(d.Text))
		for _, do := range d.Do {
			line("      %s\n", plain(do))
		}
	}
	line("\n%d missing, %d not known\n", count(found, levelMissing), count(found, levelUnknown))
	return errors.Join(errs...)
}
