// The fields of one component: category, relation, side, description.

const OBJECT = "critical_object"; // what alone stands in a relation to ego

const field = (root, name) => root.querySelector(`[data-field=${name}]`);

/** Let the relation follow the category. */
export function tieFields(root) {
  const [category, relation] = [field(root, "category"), field(root, "relation")];
  category.addEventListener("change", () => {
    if (category.value !== OBJECT) relation.value = "";
    relation.disabled = category.value !== OBJECT;
  });
}

/** Show a component in the fields; a relation that it has can be taken away, whatever its category. */
export function fill(root, component) {
  for (const name of ["category", "relation", "side", "description"]) field(root, name).value = component[name] ?? "";
  field(root, "relation").disabled = component.category !== OBJECT && !component.relation;
}

/** Return what the fields hold, without an id. */
export function read(root) {
  return {
    category: field(root, "category").value,
    relation: field(root, "relation").value || null,
    side: field(root, "side").value || null,
    description: field(root, "description").value.trim(),
  };
}

/** Return the first id that no component has. */
export function freeId(components) {
  const numbers = components.map((component) => Number(component.id.slice(1)));
  return `c${Math.max(0, ...numbers) + 1}`;
}

/** A component in words: "critical object · lead · left". */
export function kindOf({ category, relation, side }) {
  return [category, relation, side]
    .filter(Boolean)
    .map((word) => word.replaceAll("_", " "))
    .join(" · ");
}
