package manifest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// retryDisk is how long to wait before writing again what could not be written.
const retryDisk = 10 * time.Second

// diskCopy keeps what was taken over as one file for each ConfigMap, so that the
// service can start while the Kubernetes API is away. What is read back is
// checked as if it came from there.
type diskCopy struct {
	dir     string
	mu      sync.Mutex
	pending map[string]*record // nil: to be removed
	wake    chan struct{}
}

// openDiskCopy makes the folder, and removes what an end in the middle of a
// write left.
func openDiskCopy(dir string) (*diskCopy, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the folder of the disk copy: %w", err)
	}
	if err := removeTemporary(dir); err != nil {
		return nil, fmt.Errorf("tidying the folder of the disk copy: %w", err)
	}
	return &diskCopy{dir: dir, pending: map[string]*record{}, wake: make(chan struct{}, 1)}, nil
}

// temporary begins the names of files that are not finished.
const temporary = ".tmp-"

func removeTemporary(dir string) error {
	names, err := filepath.Glob(filepath.Join(dir, temporary+"*"))
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := os.Remove(name); err != nil {
			return err
		}
	}
	return nil
}

// load reads all records. A file that cannot be read is passed over: the rest is
// better than nothing, and the API server has them all.
func (d *diskCopy) load() ([]update, error) {
	files, err := os.ReadDir(d.dir)
	if err != nil {
		return nil, fmt.Errorf("reading the disk copy: %w", err)
	}
	var updates []update
	var errs []error
	for _, file := range files {
		if !strings.HasSuffix(file.Name(), ".json") {
			continue
		}
		text, err := os.ReadFile(filepath.Join(d.dir, file.Name()))
		r := new(record)
		if err == nil {
			err = json.Unmarshal(text, r)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("reading %s of the disk copy: %w", file.Name(), err))
			continue
		}
		updates = append(updates, update{name: r.Name, record: r})
	}
	return updates, errors.Join(errs...)
}

// fileName is that of a ConfigMap's file. A hash, for names of ConfigMaps fill
// the length that file names may have.
func fileName(configMap string) string {
	sum := sha256.Sum256([]byte(configMap))
	return hex.EncodeToString(sum[:]) + ".json"
}

// put plans to write a record. It does not block.
func (d *diskCopy) put(r *record) { d.plan(r.Name, r) }

// drop plans to remove a record, which would be served again after a restart. It
// does not block.
func (d *diskCopy) drop(name string) { d.plan(name, nil) }

func (d *diskCopy) plan(name string, r *record) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.pending[name] = r
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// flush writes what was planned. What cannot be written stays planned.
func (d *diskCopy) flush() error {
	d.mu.Lock()
	pending := d.pending
	d.pending = map[string]*record{}
	d.mu.Unlock()
	var errs []error
	for name, r := range pending {
		if err := d.carryOut(name, r); err != nil {
			errs = append(errs, fmt.Errorf("writing the disk copy of %s: %w", name, err))
			d.mu.Lock()
			if _, planned := d.pending[name]; !planned { // else there is something newer already
				d.pending[name] = r
			}
			d.mu.Unlock()
		}
	}
	return errors.Join(errs...)
}

func (d *diskCopy) carryOut(name string, r *record) error {
	if r == nil {
		err := os.Remove(filepath.Join(d.dir, fileName(name)))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return writeAtomically(d.dir, fileName(name), text)
}

// writeAtomically replaces a file as a whole or not at all, whatever happens.
func writeAtomically(dir, name string, text []byte) error {
	f, err := os.CreateTemp(dir, temporary+"*")
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), filepath.Join(dir, name))
	}
	if err != nil {
		if gone := os.Remove(f.Name()); gone != nil && !errors.Is(gone, fs.ErrNotExist) {
			err = errors.Join(err, gone)
		}
	}
	return err
}

// run writes what is planned until the context ends, and then once more.
func (d *diskCopy) run(ctx context.Context, failed func(error)) {
	for {
		var again <-chan time.Time
		if err := d.flush(); err != nil {
			failed(err)
			again = time.After(retryDisk)
		}
		select {
		case <-ctx.Done():
			if err := d.flush(); err != nil {
				failed(err)
			}
			return
		case <-d.wake:
		case <-again:
		}
	}
}
