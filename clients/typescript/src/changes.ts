import { clone, create, type DescMessage, equals, type MessageShape } from "@bufbuild/protobuf";

/** An edited copy of a resource, and the names of the top-level fields that are not what they were. */
export interface Edited<R extends DescMessage> {
  readonly resource: MessageShape<R>;
  readonly paths: string[];
}

/** Lets `edit` change a copy of the resource. */
export function edited<R extends DescMessage>(
  schema: R,
  before: MessageShape<R>,
  edit: (resource: MessageShape<R>) => void,
): Edited<R> {
  const resource = clone(schema, before);
  edit(resource);
  const members = schema.members.filter((member) => {
    const [left, right] = [before, resource].map((message) => alone(schema, message, member.localName));
    return left && right && !equals(schema, left, right);
  });
  return { resource, paths: members.flatMap(pathsOf) };
}

/** The paths that a member of a message has in an update mask: a field's own name, or those of all fields of a oneof. */
export function pathsOf(member: DescMessage["members"][number]): string[] {
  return member.kind === "oneof" ? member.fields.map((field) => field.name) : [member.name];
}

/** A message that has one member of another, and nothing else. */
function alone<R extends DescMessage>(schema: R, message: MessageShape<R>, name: string): MessageShape<R> {
  const value = (message as Record<string, unknown>)[name];
  return Object.assign(create(schema), { [name]: value });
}
