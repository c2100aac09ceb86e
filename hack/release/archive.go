package main

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"os"
	"path"
	"path/filepath"
)

// member is one file of an archive or of an image's layer.
type member struct {
	name string // with slashes
	from string // file that it is read from
	mode int64
}

// serverArchive and pluginArchive name the archives. The plugin's are the form in
// which krew distributes plugins: the binary and the licence, nothing else.
func (r *release) serverArchive(p platform) string {
	return "miniprogram-operator_" + r.version + "_" + p.String() + ".tar.gz"
}

func (r *release) pluginArchive(p platform) string {
	name := plugin + "_" + r.version + "_" + p.String()
	if p.os == "windows" {
		return name + ".zip"
	}
	return name + ".tar.gz"
}

func (r *release) licence() member {
	return member{name: "LICENSE", from: filepath.Join(r.root, "LICENSE"), mode: 0o644}
}

// pluginMembers are what is in the plugin's archive for one platform.
func (r *release) pluginMembers(p platform) []member {
	return []member{r.licence(), {name: p.binary(plugin), from: r.built(p, plugin), mode: 0o755}}
}

func (r *release) writeArchives(context.Context) error {
	for _, p := range r.plugins {
		pack := tarGz
		if p.os == "windows" {
			pack = zipped
		}
		if err := r.pack(r.pluginArchive(p), pack, r.pluginMembers(p)); err != nil {
			return err
		}
	}
	for _, p := range r.servers {
		members := []member{r.licence()}
		for _, name := range servers {
			members = append(members, member{name: p.binary(name), from: r.built(p, name), mode: 0o755})
		}
		if err := r.pack(r.serverArchive(p), tarGz, members); err != nil {
			return err
		}
	}
	return nil
}

func (r *release) pack(name string, pack func(io.Writer, moment, []member) error, members []member) error {
	f, err := os.Create(r.file(name))
	if err != nil {
		return err
	}
	return errors.Join(pack(f, r.moment, members), f.Close())
}

func tarGz(w io.Writer, m moment, members []member) error {
	z, err := gzip.NewWriterLevel(w, gzip.BestCompression)
	if err != nil {
		return err
	}
	return errors.Join(tarred(z, m, members), z.Close())
}

// tarred writes members in the order given, with the folders that they are in, all
// owned by root and of one time.
func tarred(w io.Writer, m moment, members []member) error {
	t := tar.NewWriter(w)
	folders := map[string]bool{".": true}
	for _, one := range members {
		if err := tarFolders(t, m, path.Dir(one.name), folders); err != nil {
			return err
		}
		if err := tarMember(t, m, one); err != nil {
			return err
		}
	}
	return t.Close()
}

func tarFolders(t *tar.Writer, m moment, folder string, written map[string]bool) error {
	if written[folder] {
		return nil
	}
	if err := tarFolders(t, m, path.Dir(folder), written); err != nil {
		return err
	}
	written[folder] = true
	return t.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: folder + "/", Mode: 0o755, ModTime: m.Time, Format: tar.FormatUSTAR})
}

func tarMember(t *tar.Writer, m moment, one member) error {
	f, err := os.Open(one.from)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // only read
	info, err := f.Stat()
	if err != nil {
		return err
	}
	header := &tar.Header{Typeflag: tar.TypeReg, Name: one.name, Size: info.Size(), Mode: one.mode, ModTime: m.Time, Format: tar.FormatUSTAR}
	if err := t.WriteHeader(header); err != nil {
		return err
	}
	_, err = io.Copy(t, f)
	return err
}

func zipped(w io.Writer, m moment, members []member) error {
	z := zip.NewWriter(w)
	for _, one := range members {
		if err := zipMember(z, m, one); err != nil {
			return err
		}
	}
	return z.Close()
}

func zipMember(z *zip.Writer, m moment, one member) error {
	f, err := os.Open(one.from)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // only read
	header := &zip.FileHeader{Name: one.name, Method: zip.Deflate, Modified: m.Time}
	header.SetMode(os.FileMode(one.mode))
	entry, err := z.CreateHeader(header)
	if err != nil {
		return err
	}
	_, err = io.Copy(entry, f)
	return err
}
