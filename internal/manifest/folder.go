package manifest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/delivery"
)

// Bounds of a folder that is served from.
const (
	maxFolderFiles     = 100_000
	maxFolderFileBytes = 64 << 20
	maxFolderBytes     = 512 << 20
)

// publishedFolder has what was published as files: ConfigMaps as kubectl writes them.
// It is for one goroutine.
type publishedFolder struct {
	dir string
	// files that were read, by name.
	files map[string]*publishedFile
	// records are those of all files, by the name of the ConfigMap.
	records map[string]*record
}

type publishedFile struct {
	size    int64
	changed time.Time
	// records are what it held when it could last be read.
	records []*record
}

func openFolder(dir string) *publishedFolder {
	return &publishedFolder{dir: dir, files: map[string]*publishedFile{}, records: map[string]*record{}}
}

// look reads what has changed, and returns what is different since the last look. A file
// that cannot be read keeps what it held: it may be half written.
func (f *publishedFolder) look() ([]update, error) {
	names, err := f.names()
	if err != nil {
		return nil, err
	}
	var errs []error
	var total int64
	present := map[string]bool{}
	for _, name := range names {
		size, err := f.read(name)
		if err != nil {
			errs = append(errs, fmt.Errorf("reading %s: %w", filepath.Join(f.dir, name), err))
		}
		present[name] = true
		if total += size; total > maxFolderBytes {
			return nil, fmt.Errorf("reading the folder %s: its files have more than %d bytes together", f.dir, maxFolderBytes)
		}
	}
	maps.DeleteFunc(f.files, func(name string, _ *publishedFile) bool { return !present[name] })
	return f.merge(), errors.Join(errs...)
}

// names returns those of the files, sorted. Names that begin with a dot are not for us:
// mounted volumes keep their own there, and writers what is not finished.
func (f *publishedFolder) names() ([]string, error) {
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		return nil, fmt.Errorf("reading the folder of published documents: %w", err)
	}
	var names []string
	for _, entry := range entries {
		name := entry.Name()
		if !strings.HasPrefix(name, ".") && slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(name)) {
			names = append(names, name)
		}
	}
	if len(names) > maxFolderFiles {
		return nil, fmt.Errorf("reading the folder %s: it has %d files, %d are allowed", f.dir, len(names), maxFolderFiles)
	}
	return names, nil
}

// read reads a file if it has changed, and returns its size in bytes.
func (f *publishedFolder) read(name string) (int64, error) {
	path := filepath.Join(f.dir, name)
	before, err := os.Stat(path) // follows links, which mounted volumes consist of
	if err != nil {
		return 0, err
	}
	known := f.files[name]
	if known != nil && known.size == before.Size() && known.changed.Equal(before.ModTime()) {
		return known.size, nil
	}
	if before.Size() > maxFolderFileBytes || !before.Mode().IsRegular() {
		return 0, fmt.Errorf("it is no file of up to %d bytes: put fewer ConfigMaps into each", maxFolderFileBytes)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	after, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	if after.Size() != int64(len(text)) || !after.ModTime().Equal(before.ModTime()) {
		return int64(len(text)), nil // it is being written: the next look has it
	}
	if known == nil {
		known = new(publishedFile)
		f.files[name] = known
	}
	known.size, known.changed = before.Size(), before.ModTime() // also if it is bad: it is told of once
	records, err := recordsIn(text)
	if err == nil {
		known.records = records
	}
	return known.size, err
}

// merge brings the records up to date, and returns those that changed. Of two files
// with the same ConfigMap the one whose name sorts last counts.
func (f *publishedFolder) merge() []update {
	merged := map[string]*record{}
	for _, name := range slices.Sorted(maps.Keys(f.files)) {
		for _, r := range f.files[name].records {
			merged[r.Name] = r
		}
	}
	var updates []update
	for _, name := range slices.Sorted(maps.Keys(merged)) {
		if !merged[name].equal(f.records[name]) {
			updates = append(updates, update{name: name, record: merged[name]})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(f.records)) {
		if merged[name] == nil {
			updates = append(updates, update{name: name})
		}
	}
	f.records = merged
	return updates
}

// exported is what a file has: one ConfigMap, or a list of them.
type exported struct {
	corev1.ConfigMap `json:",inline"`
	Items            []corev1.ConfigMap `json:"items"`
}

// recordsIn reads YAML documents, or JSON. What is in it beside ConfigMaps that are for
// host apps is passed over. That there is nothing at all is an error: that is how a
// file begins that somebody is writing.
func recordsIn(text []byte) ([]*record, error) {
	var records []*record
	found := false
	documents := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(text)))
	for {
		one, err := documents.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if len(bytes.TrimSpace(one)) == 0 {
			continue
		}
		var all exported
		if err := unmarshalEither(one, &all); err != nil {
			return nil, err
		}
		found = found || all.Kind != ""
		for _, cm := range append(all.Items, all.ConfigMap) {
			r, err := publishedRecord(&cm)
			if err != nil {
				return nil, err
			}
			if r != nil {
				records = append(records, r)
			}
		}
	}
	if !found {
		return nil, errors.New("it holds no object of Kubernetes")
	}
	return records, nil
}

// unmarshalEither reads JSON, for which the way through YAML would be long, or YAML.
func unmarshalEither(text []byte, into any) error {
	if bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")) {
		return json.Unmarshal(text, into)
	}
	return yaml.Unmarshal(text, into)
}

// publishedRecord returns what the service reads of a ConfigMap, or nil if it is not
// for host apps: the same choice that is made of the publication namespace.
func publishedRecord(cm *corev1.ConfigMap) (*record, error) {
	if cm.Name == "" || cm.Labels[v1alpha1.PublishedLabel] != "true" || !slices.Contains(kindsRead, cm.Labels[delivery.DocumentLabel]) {
		return nil, nil
	}
	stripped, err := strip(cm)
	if err != nil {
		return nil, err
	}
	cm, ok := stripped.(*corev1.ConfigMap)
	if !ok {
		return nil, errors.New("a ConfigMap is not one any more")
	}
	return recordOf(cm), nil
}

// watchFolder keeps the store up to date with the folder until the context ends. What
// is gone from it stays in service, as in the publication namespace.
func (s *Service) watchFolder(ctx context.Context) error {
	folder := openFolder(s.options.From)
	s.lookInto(folder)
	tick := time.NewTicker(s.options.ReloadEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			s.lookInto(folder)
		}
	}
}

func (s *Service) lookInto(folder *publishedFolder) {
	updates, err := folder.look()
	if err != nil {
		s.metrics.watchFails.Inc()
		s.log.Error(err, "Part of the folder of published documents cannot be read; what it last held stays in service.")
	}
	if len(updates) > 0 {
		s.store.apply(updates)
	}
	// Without any host app nothing can be answered: the folder is not yet filled, or is another.
	if len(s.store.current.Load().hosts) > 0 {
		s.becomeReady("the folder")
	}
}
