// Gradio translates its own words into the language of the browser. The words of the app are English, so a page
// would be half translated.
for (const [name, value] of [["language", "en"], ["languages", ["en"]]]) {
  Object.defineProperty(window.navigator, name, {value, configurable: true});
}
