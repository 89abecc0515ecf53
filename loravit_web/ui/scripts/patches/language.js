// Gradio translates its own words into the language of the browser. The page may have another language, and would
// be half translated.
for (const [name, value] of [["language", document.documentElement.lang], ["languages", [document.documentElement.lang]]]) {
  Object.defineProperty(window.navigator, name, {value, configurable: true});
}
