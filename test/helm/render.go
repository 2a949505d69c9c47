// Renders a chart as Helm does, with the template engine and the function library that Helm is made of (Debian packages of both):
// what Helm itself adds to them is written here, as its documentation describes it ("Chart Template Guide", "Function List").
//
// Standard input: {"chart": folder, "release": {...}, "cases": {name: {"values": {...}, "lookup": object or null}}}
// Standard output: {name: {"values": {...}, "files": {path: text}, "error": text}}; the values are those that the templates saw.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	"github.com/Masterminds/sprig"
	"github.com/ghodss/yaml"
)

type object = map[string]interface{}

type request struct {
	Chart   string          `json:"chart"`
	Release object          `json:"release"`
	Cases   map[string]once `json:"cases"`
}

type once struct {
	Values object `json:"values"`
	Lookup object `json:"lookup"`
}

type rendered struct {
	Values object            `json:"values"`
	Files  map[string]string `json:"files"`
	Error  string            `json:"error"`
}

func main() {
	var asked request
	if err := json.NewDecoder(os.Stdin).Decode(&asked); err != nil {
		fail(err)
	}
	chart, err := load(asked.Chart)
	if err != nil {
		fail(err)
	}
	answers := map[string]rendered{}
	for name, one := range asked.Cases {
		answer := rendered{Values: coalesce(chart.defaults, one.Values)}
		scope := object{"Values": coalesce(chart.defaults, one.Values), "Chart": chart.about, "Release": asked.Release, "Files": files{asked.Chart}}
		answer.Files, err = chart.render(scope, one.Lookup)
		if err != nil {
			answer.Error = err.Error()
		}
		answers[name] = answer
	}
	if err := json.NewEncoder(os.Stdout).Encode(answers); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

type chart struct {
	defaults object
	about    object
	// Texts of the templates by file name.
	templates map[string]string
}

func load(folder string) (chart, error) {
	loaded := chart{about: object{}, templates: map[string]string{}}
	var err error
	if loaded.defaults, err = readYaml(filepath.Join(folder, "values.yaml")); err != nil {
		return loaded, err
	}
	about, err := readYaml(filepath.Join(folder, "Chart.yaml"))
	if err != nil {
		return loaded, err
	}
	// Chart.yaml's fields are fields of a Go type in Helm, hence with capitals.
	for key, value := range about {
		loaded.about[strings.ToUpper(key[:1])+key[1:]] = value
	}
	paths, err := filepath.Glob(filepath.Join(folder, "templates", "*"))
	if err != nil {
		return loaded, err
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return loaded, err
		}
		loaded.templates[filepath.Base(path)] = string(text)
	}
	return loaded, nil
}

// What is in the chart beside values and templates.
type files struct{ folder string }

// The text of a file, or nothing when it is not there.
func (files files) Get(name string) string {
	text, _ := os.ReadFile(filepath.Join(files.folder, name))
	return string(text)
}

func (chart chart) render(scope, found object) (map[string]string, error) {
	set := template.New("chart").Option("missingkey=zero")
	set.Funcs(functions(set, found))
	for name, text := range chart.templates {
		if _, err := set.New(name).Parse(text); err != nil {
			return nil, err
		}
	}
	files := map[string]string{}
	for name := range chart.templates {
		if strings.HasPrefix(name, "_") {
			continue
		}
		var out strings.Builder
		if err := set.ExecuteTemplate(&out, name, scope); err != nil {
			return nil, err
		}
		files[name] = strings.ReplaceAll(out.String(), "<no value>", "")
	}
	return files, nil
}

func readYaml(path string) (object, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	read := object{}
	return read, yaml.Unmarshal(text, &read)
}

// A user's values over the chart's: maps are merged, everything else is replaced, null removes.
func coalesce(defaults, given object) object {
	merged := object{}
	for key, value := range defaults {
		merged[key] = value
	}
	for key, value := range given {
		below, isMap := value.(object)
		base, wasMap := merged[key].(object)
		switch {
		case value == nil:
			delete(merged, key)
		case isMap && wasMap:
			merged[key] = coalesce(base, below)
		default:
			merged[key] = value
		}
	}
	return merged
}

func functions(set *template.Template, found object) template.FuncMap {
	functions := sprig.TxtFuncMap()
	delete(functions, "env")
	delete(functions, "expandenv")
	functions["include"] = func(name string, scope interface{}) (string, error) {
		var out strings.Builder
		err := set.ExecuteTemplate(&out, name, scope)
		return out.String(), err
	}
	functions["toYaml"] = func(value interface{}) string {
		text, err := yaml.Marshal(value)
		if err != nil {
			return ""
		}
		return strings.TrimSuffix(string(text), "\n")
	}
	functions["fromYaml"] = func(text string) object {
		read := object{}
		if err := yaml.Unmarshal([]byte(text), &read); err != nil {
			read["Error"] = err.Error()
		}
		return read
	}
	functions["fail"] = func(message string) (string, error) { return "", errors.New(message) }
	functions["lookup"] = func(version, kind, namespace, name string) object {
		if found == nil || found["apiVersion"] != version || found["kind"] != kind {
			return object{}
		}
		metadata, _ := found["metadata"].(object)
		if metadata["namespace"] != namespace || metadata["name"] != name {
			return object{}
		}
		return found
	}
	return functions
}
