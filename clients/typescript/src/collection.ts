import {
  create,
  type DescMessage,
  type DescMethodUnary,
  type MessageInitShape,
  type MessageShape,
} from "@bufbuild/protobuf";
import type { Transport } from "@connectrpc/connect";
import { type CallOptions, callAgain, identified } from "./call.js";
import { changed, pathsOf } from "./changes.js";

/** The methods of a service that lists resources, and the resource. */
export interface ListMethods {
  readonly resource: DescMessage;
  readonly list: DescMethodUnary;
}

/** The methods of a service that keeps resources, but for creating them. */
export interface KeepMethods extends ListMethods {
  readonly get: DescMethodUnary;
  readonly update: DescMethodUnary;
  readonly delete: DescMethodUnary;
}

/** The methods of a service that keeps resources. */
export interface CreateMethods extends KeepMethods {
  readonly create: DescMethodUnary;
}

/** The resource of a service. */
type Resource<M extends ListMethods> = MessageShape<M["resource"]>;

/** The plain fields of a request, but for its id: numbers, strings, flags and enums. */
type Plain<D extends DescMessage> = {
  [K in keyof MessageShape<D> as K extends `$${string}` | "id"
    ? never
    : NonNullable<MessageShape<D>[K]> extends string | boolean | number | bigint
      ? K
      : never]?: MessageShape<D>[K];
};

/** Settings of a call: those of its request (`requestId`, `validateOnly`, …), and those of the way to the server. */
type Options<M extends DescMethodUnary> = Plain<M["input"]> & CallOptions;

/** The fields of a resource that an update changes. */
type Changes<R extends DescMessage> = {
  readonly [K in keyof Init<R> as K extends "$typeName" | "id" | "revision" ? never : K]?: Init<R>[K] | undefined;
};

/** The fields that a resource is made of. */
type Init<R extends DescMessage> = Exclude<MessageInitShape<R>, MessageShape<R>>;

/** Things that can be listed. */
export class Listing<M extends ListMethods> {
  /** Made by `Admin`. */
  constructor(
    protected readonly transport: Transport,
    protected readonly methods: M,
  ) {}

  /** All that match the filters, in the server's order, page after page. */
  async *list(filters?: MessageInitShape<M["list"]["input"]>, options?: CallOptions): AsyncGenerator<Resource<M>> {
    const { list, resource } = this.methods;
    for await (const page of this.pages(filters, options))
      yield* resourcesIn(list.output, resource, page) as Resource<M>[];
  }

  /** The pages of `list`, as the server answers them. */
  async *pages(
    filters?: MessageInitShape<M["list"]["input"]>,
    options?: CallOptions,
  ): AsyncGenerator<MessageShape<M["list"]["output"]>> {
    const request = create<DescMessage>(this.methods.list.input, filters ?? {});
    do {
      const page = await callAgain(this.transport, this.methods.list, request, options);
      yield page as MessageShape<M["list"]["output"]>;
      Object.assign(request, { pageToken: (page as { nextPageToken?: string }).nextPageToken ?? "" });
    } while ((request as { pageToken?: string }).pageToken);
  }
}

/** Resources of one kind that can be read, changed and deleted. */
export class Collection<M extends KeepMethods> extends Listing<M> {
  /** The resource with this id; for kinds whose name is their id, the name. */
  async get(id: string, options?: Options<M["get"]>): Promise<Resource<M>> {
    return await this.ask(this.methods.get, { id }, options);
  }

  /**
   * Changes a resource as `edit` changes its copy, if nobody else changed it since it was read. Only fields that are not
   * what they were are sent.
   */
  async update(
    before: Resource<M>,
    edit: (resource: Resource<M>) => void,
    options?: Options<M["update"]>,
  ): Promise<Resource<M>> {
    const { resource, paths } = changed<M["resource"]>(this.methods.resource, before, edit);
    return await this.change(resource, paths, options);
  }

  /** Changes the given fields of a resource, whoever changed it meanwhile. A field that is `undefined` is cleared. */
  async patch(id: string, changes: Changes<M["resource"]>, options?: Options<M["update"]>): Promise<Resource<M>> {
    const schema: DescMessage = this.methods.resource;
    const paths = schema.members.filter((member) => member.localName in changes).flatMap(pathsOf);
    return await this.change(create(schema, { ...changes, id }), paths, options);
  }

  /** Deletes the resource with this id; with `revision`, only if that is its revision. */
  async delete(id: string, options?: Options<M["delete"]>): Promise<MessageShape<M["delete"]["output"]>> {
    const request = identified(this.methods.delete.input, { ...options, id });
    const answer = await callAgain(this.transport, this.methods.delete, request, options);
    return answer as MessageShape<M["delete"]["output"]>;
  }

  private async change(resource: object, paths: string[], options?: Options<M["update"]>): Promise<Resource<M>> {
    const name = fieldOf(this.methods.update.input, this.methods.resource);
    return await this.ask(this.methods.update, { [name]: resource, updateMask: { paths } }, options);
  }

  /** Makes a call that is answered by the resource. */
  protected async ask(method: DescMethodUnary, fields: object, options?: CallOptions): Promise<Resource<M>> {
    const request = identified(method.input, { ...options, ...fields });
    const answer = await callAgain(this.transport, method, request, options);
    return resourcesIn(method.output, this.methods.resource, answer) as Resource<M>;
  }
}

/** Resources of one kind that can also be created. */
export class Creatable<M extends CreateMethods> extends Collection<M> {
  /** Creates a resource, and answers with it as it is stored. */
  async create(resource: MessageInitShape<M["resource"]>, options?: Options<M["create"]>): Promise<Resource<M>> {
    const schema: DescMessage = this.methods.resource;
    const name = fieldOf(this.methods.create.input, schema);
    return await this.ask(this.methods.create, { [name]: create(schema, resource) }, options);
  }
}

/** The field of a message that holds a resource, or a list of them. */
function fieldOf(message: DescMessage, resource: DescMessage): string {
  const field = message.fields.find((field) => field.message?.typeName === resource.typeName);
  if (!field) throw new TypeError(`${message.typeName} has no field of ${resource.typeName}`);
  return field.localName;
}

/** The resource in an answer, or the list of them. */
function resourcesIn(message: DescMessage, resource: DescMessage, answer: object): unknown {
  return (answer as Record<string, unknown>)[fieldOf(message, resource)];
}
