import { clone, create, type DescMessage, equals, type MessageShape } from "@bufbuild/protobuf";

/** The change of a resource, for an update. */
export interface Change<R extends DescMessage> {
  /** The resource with its id, its revision and the top-level fields that are not what they were. */
  readonly resource: MessageShape<R>;
  /** The names of these fields, for the mask. */
  readonly paths: string[];
}

/** The change that `edit` makes of a copy of the resource. */
export function changed<R extends DescMessage>(
  schema: R,
  before: MessageShape<R>,
  edit: (resource: MessageShape<R>) => void,
): Change<R> {
  const after = clone(schema, before);
  edit(after);
  const members = schema.members.filter(({ localName }) => {
    const [left, right] = [before, after].map((message) => only(schema, message, [localName]));
    return left && right && !equals(schema, left, right);
  });
  const names = members.map((member) => member.localName);
  return { resource: only(schema, after, ["id", "revision", ...names]), paths: members.flatMap(pathsOf) };
}

/** The paths that a member of a message has in an update mask: a field's own name, or those of all fields of a oneof. */
export function pathsOf(member: DescMessage["members"][number]): string[] {
  return member.kind === "oneof" ? member.fields.map((field) => field.name) : [member.name];
}

/** A message that has these members of another, and nothing else. */
function only<R extends DescMessage>(schema: R, message: MessageShape<R>, names: string[]): MessageShape<R> {
  const values = names.map((name) => [name, (message as Record<string, unknown>)[name]]);
  return Object.assign(create(schema), Object.fromEntries(values));
}
