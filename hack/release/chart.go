package main

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const chartName = "miniprogram-operator"

// writeChart packages the chart with the image's repository as its default, so that what
// is installed from a release is what was released.
func (r *release) writeChart(ctx context.Context) error {
	folder := r.work(filepath.Join("chart", chartName))
	if err := os.CopyFS(folder, os.DirFS(filepath.Join(r.root, "charts", chartName))); err != nil {
		return err
	}
	if err := nameImage(folder, r.image); err != nil {
		return err
	}
	if err := r.setTimes(folder); err != nil {
		return err
	}
	_, err := output(ctx, "", absolute(r.helm), "package", folder,
		"--version", strings.TrimPrefix(r.version, "v"), "--app-version", r.version, "--destination", r.out)
	return err
}

// nameImage puts the image's repository into the values and into the table that
// explains them. Its tag is the chart's appVersion.
func nameImage(folder, image string) error {
	for name, line := range map[string]string{
		"values.yaml": "\n  repository: %s\n",
		"README.md":   "\n| `image.repository` | `\"%s\"` |",
	} {
		file := filepath.Join(folder, name)
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		before := []byte(fmt.Sprintf(line, chartName))
		if n := bytes.Count(text, before); n != 1 {
			return fmt.Errorf("%s of the chart has %q %d times: the image's repository has no place", name, before, n)
		}
		if err := os.WriteFile(file, bytes.Replace(text, before, []byte(fmt.Sprintf(line, image)), 1), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// setTimes gives all files the one time, for Helm packs a file with its own.
func (r *release) setTimes(folder string) error {
	return filepath.WalkDir(folder, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Chtimes(path, r.moment.Time, r.moment.Time)
	})
}
