// What the page is made of.

/** Make an element with text, classes and children. */
export function element(tag, { text = "", className = "", children = [] } = {}) {
  const made = document.createElement(tag);
  if (text) made.textContent = text;
  if (className) made.className = className;
  made.append(...children);
  return made;
}
