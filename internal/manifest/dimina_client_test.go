package manifest

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"
)

// diminaClient updates one mini program as the containers of Dimina do on Android, iOS
// and HarmonyOS, by the rules that the project publishes and, where the platforms
// differ, by the strictest of them.
type diminaClient struct {
	http  *http.Client
	url   string // updateManifestUrl
	appID string
	// Installed: what config.json in the sandbox says, and the files; 0: nothing.
	versionCode int64
	versionName string
	files       map[string]string
	// downloads counts packages that were fetched, whatever became of them.
	downloads int
}

// What a container tells a running mini program.
const (
	diminaNoUpdate = "noupdate"
	diminaReady    = "updateready"
	diminaFailed   = "updatefail"
)

// diminaPackage is what the manifest says.
type diminaPackage struct {
	appID, name, path, versionName, url, sha256 string
	versionCode                                 int64
}

// launch installs what is not there yet, or else looks for an update. Only a first
// install can fail with an error: later on what is installed goes on running.
func (c *diminaClient) launch() (string, error) {
	p, err := c.manifest()
	if c.files == nil {
		if err != nil {
			return "", err
		}
		return "installed", c.install(p)
	}
	outcome := diminaNoUpdate // also after a failure before it is known that there is something new
	if err == nil && p.versionCode > c.versionCode {
		outcome = diminaReady
		if c.install(p) != nil {
			outcome = diminaFailed
		}
	}
	return outcome, nil
}

func (c *diminaClient) get(url string) ([]byte, error) {
	response, err := c.http.Get(url)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && (response.StatusCode < 200 || response.StatusCode > 299) {
		err = fmt.Errorf("%s answers %s", url, response.Status)
	}
	return body, err
}

// manifest reads the fields with the types that the containers insist on: a
// versionCode that is no number, is broken or exceeds 32 bits is none, an empty path or
// address is missing, text of another type is missing too.
func (c *diminaClient) manifest() (*diminaPackage, error) {
	body, err := c.get(c.url)
	if err != nil {
		return nil, err
	}
	var root map[string]any
	if err := json.Unmarshal(body, &root); err != nil {
		return nil, err
	}
	if inner, ok := root["data"].(map[string]any); ok {
		root = inner
	}
	text := func(names ...string) string {
		for _, name := range names {
			if s, ok := root[name].(string); ok && s != "" {
				return s
			}
		}
		return ""
	}
	code, isNumber := root["versionCode"].(float64)
	p := &diminaPackage{
		appID: text("appId"), name: text("name"), path: text("path"), versionName: text("versionName"),
		url: text("packageUrl", "downloadUrl", "url"), sha256: text("sha256"), versionCode: int64(code),
	}
	switch {
	case p.appID != c.appID:
		return nil, fmt.Errorf("the manifest is for %q", p.appID)
	case p.path == "" || p.url == "":
		return nil, errors.New("the manifest lacks path or packageUrl")
	case !isNumber || code != math.Trunc(code) || code > math.MaxInt32:
		return nil, fmt.Errorf("versionCode is %v", root["versionCode"])
	}
	return p, nil
}

// install puts a package in the place of the one that is there, or changes nothing.
func (c *diminaClient) install(p *diminaPackage) error {
	c.downloads++
	archive, err := c.get(p.url)
	if err != nil {
		return err
	}
	if sum := sha256.Sum256(archive); p.sha256 != "" && !strings.EqualFold(hex.EncodeToString(sum[:]), p.sha256) {
		return errors.New("the package does not have the digest of the manifest")
	}
	files, err := unzipped(archive)
	if err != nil {
		return err
	}
	for _, needed := range []string{"main/app-config.json", "main/logic.js"} {
		if _, ok := files[needed]; !ok {
			return fmt.Errorf("the package has no %s", needed)
		}
	}
	c.files, c.versionCode, c.versionName = files, p.versionCode, p.versionName
	return nil
}

func unzipped(archive []byte) (map[string]string, error) {
	reader, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		return nil, err
	}
	files := map[string]string{}
	for _, file := range reader.File {
		content, err := reader.Open(file.Name)
		if err != nil {
			return nil, err
		}
		text, err := io.ReadAll(content)
		if err != nil {
			return nil, err
		}
		files[file.Name] = string(text)
	}
	return files, nil
}
