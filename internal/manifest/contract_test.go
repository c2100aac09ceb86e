package manifest

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"sigs.k8s.io/yaml"
)

// contract holds answers against the description: every answer of every test of
// this package goes through it.
type contract struct {
	doc      map[string]any
	paths    *http.ServeMux
	compiler *jsonschema.Compiler
	mu       sync.Mutex
	compiled map[string]*jsonschema.Schema
}

// filePattern is the one path of the run host.
const filePattern = "/r/{appID}/{digest}/{path}"

const descriptionURL = "https://mini.example.com/v1/openapi.json"

var theContract = sync.OnceValues(newContract)

// newContract reads the description. That members which are not described are ignored is
// for clients; here they are mistakes.
func newContract() (*contract, error) {
	c := &contract{compiler: jsonschema.NewCompiler(), compiled: map[string]*jsonschema.Schema{}, paths: http.NewServeMux()}
	text, err := yaml.YAMLToJSON(openAPI)
	if err != nil {
		return nil, err
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	c.doc = object(value)
	for name, schema := range object(at(c.doc, "components", "schemas")) {
		if !strings.HasSuffix(name, "Request") {
			closeObjects(schema)
		}
	}
	c.compiler.DefaultDraft(jsonschema.Draft2020)
	c.compiler.AssertFormat()
	c.compiler.AssertContent()
	if err := c.compiler.AddResource(descriptionURL, c.doc); err != nil {
		return nil, err
	}
	for path := range object(c.doc["paths"]) {
		if path != filePattern { // which has slashes: OpenAPI cannot say so
			c.paths.Handle(path, http.NotFoundHandler())
		}
	}
	return c, nil
}

// object is a JSON object, empty if it is none.
func object(value any) map[string]any {
	o, _ := value.(map[string]any)
	return o
}

func at(value any, names ...string) any {
	for _, name := range names {
		value = object(value)[name]
	}
	return value
}

func closeObjects(schema any) {
	switch s := schema.(type) {
	case map[string]any:
		if s["properties"] != nil && s["type"] == "object" && s["additionalProperties"] == nil {
			s["additionalProperties"] = false
		}
		for _, part := range s {
			closeObjects(part)
		}
	case []any:
		for _, part := range s {
			closeObjects(part)
		}
	}
}

// follow returns a value and its JSON pointer, where there is a reference those of what it refers to.
func (c *contract) follow(pointer string) (map[string]any, string) {
	var value any = c.doc
	for name := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		value = object(value)[strings.NewReplacer("~1", "/", "~0", "~").Replace(name)]
	}
	if ref, is := object(value)["$ref"].(string); is {
		return c.follow(strings.TrimPrefix(ref, "#"))
	}
	return object(value), pointer
}

func escape(name string) string { return strings.NewReplacer("~", "~0", "/", "~1").Replace(name) }

// validate holds a value against the schema at a pointer.
func (c *contract) validate(pointer string, value any) error {
	c.mu.Lock()
	schema := c.compiled[pointer]
	if schema == nil {
		var err error
		if schema, err = c.compiler.Compile(descriptionURL + "#" + pointer); err != nil {
			c.mu.Unlock()
			return err
		}
		c.compiled[pointer] = schema
	}
	c.mu.Unlock()
	return schema.Validate(value)
}

// validateJSON holds a text against the schema at a pointer.
func (c *contract) validateJSON(pointer string, text []byte) error {
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return fmt.Errorf("%w: %.200s", err, text)
	}
	if err := c.validate(pointer, value); err != nil {
		return fmt.Errorf("%w: %.500s", err, text)
	}
	return nil
}

// exchange is a request and its answer.
type exchange struct {
	request *http.Request
	asked   bytes.Buffer
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

func (e *exchange) WriteHeader(status int) {
	if e.status == 0 && status >= 200 {
		e.status = status
	}
	e.ResponseWriter.WriteHeader(status)
}

func (e *exchange) Write(b []byte) (int, error) {
	if e.status == 0 {
		e.status = http.StatusOK
	}
	if e.body.Len() < 4<<20 {
		e.body.Write(b)
	}
	return e.ResponseWriter.Write(b)
}

func (e *exchange) Unwrap() http.ResponseWriter { return e.ResponseWriter }

// watched fails the test for each answer that is not as described. It hears of those that are.
func watched(t testing.TB, next http.Handler, heard func(operation, answer string)) http.Handler {
	c, err := theContract()
	if err != nil {
		t.Fatal(err)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e := &exchange{request: r, ResponseWriter: w}
		r.Body = struct {
			io.Reader
			io.Closer
		}{io.TeeReader(r.Body, &e.asked), r.Body}
		next.ServeHTTP(e, r)
		operation, answer, err := c.check(e)
		if err != nil {
			t.Errorf("%s %s is answered %d otherwise than openapi.yaml says: %.1000s", r.Method, r.URL.Path, e.status, err)
		} else if heard != nil {
			heard(operation, answer)
		}
	})
}

// check returns the operation and which of its answers was given.
func (c *contract) check(e *exchange) (operation, answer string, err error) {
	_, path := c.paths.Handler(e.request)
	if hostName(e.request.Host) == runName && e.Header().Get("Content-Security-Policy") != "" { // else there is no run host
		path = ""
		if _, ok := parseFilePath(e.request.URL.Path); ok {
			path = filePattern
		}
	}
	method := strings.ToLower(e.request.Method)
	item := "/paths/" + escape(path)
	if method == "options" && e.status == http.StatusNoContent {
		return "", "", nil // for browsers, as the Fetch standard has it
	}
	status := strconv.Itoa(e.status)
	response, pointer := c.follow(item + "/" + method + "/responses/" + status)
	if response == nil {
		response, pointer = c.follow("/components/responses/Other")
		if e.status < 400 {
			return "", "", fmt.Errorf("the status is not described")
		}
		status = "default"
	}
	for name := range object(response["headers"]) {
		header, at := c.follow(pointer + "/headers/" + escape(name))
		values := e.Header()[http.CanonicalHeaderKey(name)]
		if len(values) == 0 && header["required"] == true {
			return "", "", fmt.Errorf("it has no header %s", name)
		}
		if len(values) > 0 {
			if err := c.validate(at+"/schema", strings.Join(values, ", ")); err != nil {
				return "", "", fmt.Errorf("header %s: %w", name, err)
			}
		}
	}
	operation, answer = e.request.Method+" "+path, status
	if method == "head" || e.status == http.StatusNotModified {
		return operation, answer, nil
	}
	code, err := c.checkBody(e, response, pointer)
	if err == nil && method == "post" && e.status < 300 {
		err = c.validateJSON(item+"/post/requestBody/content/application~1json/schema", e.asked.Bytes())
	}
	if code != "" {
		answer += " " + code
	}
	return operation, answer, err
}

// checkBody returns the code of a problem.
func (c *contract) checkBody(e *exchange, response map[string]any, pointer string) (code string, err error) {
	media, _, err := mime.ParseMediaType(e.Header().Get("Content-Type"))
	if err != nil {
		return "", fmt.Errorf("reading its Content-Type: %w", err)
	}
	content := object(response["content"])
	if content[media] == nil && content["*/*"] == nil {
		return "", fmt.Errorf("%s is not described", media)
	}
	schema := pointer + "/content/" + escape(media) + "/schema"
	text, err := decoded(e)
	if err != nil {
		return "", err
	}
	switch {
	case media == "text/event-stream":
		for line := range strings.Lines(string(text)) {
			if data, is := strings.CutPrefix(line, "data: "); is {
				if err := c.validateJSON("/components/schemas/Event", []byte(data)); err != nil {
					return "", err
				}
			}
		}
	case strings.HasSuffix(media, "json") && content[media] != nil:
		err = c.validateJSON(schema, text)
	}
	if err == nil && media == "application/vnd.dsse.envelope.v1+json" {
		var envelope struct{ Payload []byte }
		if err = json.Unmarshal(text, &envelope); err == nil {
			err = c.validateJSON("/components/schemas/Document", envelope.Payload)
		}
	}
	if err != nil || media != "application/problem+json" {
		return "", err
	}
	var p Problem
	if err := json.Unmarshal(text, &p); err != nil {
		return "", err
	}
	if at(content[media], "examples", p.Code) == nil {
		return "", fmt.Errorf("the code %s is not among the examples", p.Code)
	}
	return p.Code, nil
}

// decoded is the body without its content coding.
func decoded(e *exchange) ([]byte, error) {
	var reader io.Reader = &e.body
	switch coding := e.Header().Get("Content-Encoding"); coding {
	case "":
	case "gzip":
		r, err := gzip.NewReader(reader)
		if err != nil {
			return nil, err
		}
		reader = r
	case "zstd":
		r, err := zstd.NewReader(reader)
		if err != nil {
			return nil, err
		}
		defer r.Close()
		reader = r
	default:
		return nil, fmt.Errorf("the content coding %s", coding)
	}
	return io.ReadAll(reader)
}

func TestTheDescriptionHasEveryAddressAndNoOther(t *testing.T) {
	c, err := theContract()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{"GET " + filePattern: true, "HEAD " + filePattern: true}
	for _, a := range newFixture(t).service.addressesOfHosts() {
		for _, method := range a.methods {
			want[method+" "+a.pattern] = true
		}
	}
	got := map[string]bool{}
	for path, item := range object(c.doc["paths"]) {
		for method := range object(item) {
			if method == "servers" {
				continue
			}
			got[strings.ToUpper(method)+" "+path] = true
		}
	}
	for _, one := range slices.Sorted(maps.Keys(want)) {
		if !got[one] {
			t.Errorf("%s is not described in openapi.yaml", one)
		}
	}
	for _, one := range slices.Sorted(maps.Keys(got)) {
		if !want[one] {
			t.Errorf("%s is described in openapi.yaml and does not exist", one)
		}
	}
}

// The schema is that of the OpenAPI Initiative.
func TestTheDescriptionIsOpenAPI(t *testing.T) {
	text, err := os.ReadFile("testdata/openapi-3.1.json")
	if err != nil {
		t.Fatal(err)
	}
	schema, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("openapi.json", schema); err != nil {
		t.Fatal(err)
	}
	compiled, err := compiler.Compile("openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	f := newFixture(t)
	served, err := jsonschema.UnmarshalJSON(strings.NewReader(f.get("/v1/openapi.json").Body))
	if err != nil {
		t.Fatal(err)
	}
	if err := compiled.Validate(served); err != nil {
		t.Error(err)
	}
}

func TestTheDescriptionHasEveryProblem(t *testing.T) {
	c, err := theContract()
	if err != nil {
		t.Fatal(err)
	}
	enum, _ := at(c.doc, "components", "schemas", "Problem", "properties", "code", "enum").([]any)
	var described []string
	for _, code := range enum {
		described = append(described, fmt.Sprint(code))
	}
	slices.Sort(described)
	if want := slices.Sorted(maps.Keys(kinds)); !slices.Equal(described, want) {
		t.Errorf("described are the codes %q, want %q", described, want)
	}
	for code, kind := range kinds {
		text, err := json.Marshal(at(c.doc, "components", "examples", code, "value"))
		if err != nil {
			t.Fatal(err)
		}
		var example Problem
		if err := json.Unmarshal(text, &example); err != nil {
			t.Fatal(err)
		}
		if want := (Problem{Title: kind.title, Status: kind.status, Code: code, Detail: example.Detail}); example != want || example.Detail == "" {
			t.Errorf("the example of %s is %+v, want %+v", code, example, want)
		}
	}
}

func TestTheExamplesOfTheDescriptionAreAsDescribed(t *testing.T) {
	c, err := theContract()
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	var walk func(pointer string, value any)
	walk = func(pointer string, value any) {
		o := object(value)
		if schema, example := o["schema"], o["example"]; schema != nil && example != nil {
			checked++
			if err := c.validate(pointer+"/schema", example); err != nil {
				t.Errorf("%s: %v", pointer, err)
			}
		}
		for name, example := range object(o["examples"]) {
			checked++
			followed, _ := c.follow(pointer + "/examples/" + escape(name))
			if err := c.validate(pointer+"/schema", followed["value"]); err != nil || object(example) == nil {
				t.Errorf("%s: example %s: %v", pointer, name, err)
			}
		}
		for name, part := range o {
			if name != "examples" && name != "example" {
				walk(pointer+"/"+escape(name), part)
			}
		}
	}
	walk("/paths", c.doc["paths"])
	if checked < 50 {
		t.Errorf("only %d examples were found", checked)
	}
}
