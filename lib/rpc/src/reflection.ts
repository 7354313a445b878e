import { createRegistry, type DescFile, type DescService, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { Code, type ServiceImpl } from "@connectrpc/connect";
import type { ServerReflection } from "@howdah/proto/grpc/reflection/v1/reflection";
import type { ServerReflection as ServerReflectionV1Alpha } from "@howdah/proto/grpc/reflection/v1alpha/reflection";

/** The parts of a reflection request that v1 and v1alpha have in common, which is all of them. */
interface Request {
  host: string;
  messageRequest:
    | { case: "fileByFilename"; value: string }
    | { case: "fileContainingSymbol"; value: string }
    | {
        case: "fileContainingExtension";
        value: { containingType: string; extensionNumber: number };
      }
    | { case: "allExtensionNumbersOfType"; value: string }
    | { case: "listServices"; value: string }
    | { case: undefined; value?: undefined };
}

/**
 * Makes the server reflection service, as v1 and v1alpha, from the descriptors that the generated code carries.
 * @param services the services to tell of; asked anew by each stream, so that services may be added later
 */
export function createReflection(services: () => readonly DescService[]): {
  v1: ServiceImpl<typeof ServerReflection>;
  v1alpha: ServiceImpl<typeof ServerReflectionV1Alpha>;
} {
  async function* serverReflectionInfo<R extends Request>(requests: AsyncIterable<R>) {
    const find = createIndex(services());
    for await (const originalRequest of requests) {
      yield {
        validHost: originalRequest.host,
        originalRequest,
        messageResponse: answer(find, originalRequest.messageRequest),
      };
    }
  }
  return { v1: { serverReflectionInfo }, v1alpha: { serverReflectionInfo } };
}

type Index = ReturnType<typeof createIndex>;

function createIndex(services: readonly DescService[]) {
  const files = new Map<string, DescFile>();
  for (const service of services) addWithImports(files, service.file);
  const registry = createRegistry(...files.values());
  return {
    services: services.map((service) => service.typeName).sort(),
    // The descriptor calls the file by its name with the extension, DescFile by its name without.
    byName: (name: string) => files.get(name),
    /** A type or service by its full name; a method, field or enum value by that of its parent. */
    bySymbol: (symbol: string) =>
      (registry.get(symbol) ?? registry.get(symbol.slice(0, Math.max(0, symbol.lastIndexOf(".")))))
        ?.file,
    extension(typeName: string, number: number) {
      const message = registry.getMessage(typeName);
      return message && registry.getExtensionFor(message, number)?.file;
    },
    isMessage: (typeName: string) => registry.getMessage(typeName) !== undefined,
    extensionNumbers: (typeName: string) =>
      Array.from(registry)
        .filter((type) => type.kind === "extension")
        .filter((type) => type.extendee.typeName === typeName)
        .map((type) => type.number),
  };
}

function addWithImports(files: Map<string, DescFile>, file: DescFile): void {
  if (files.has(file.proto.name)) return;
  files.set(file.proto.name, file);
  for (const dependency of file.dependencies) addWithImports(files, dependency);
}

function answer(index: Index, request: Request["messageRequest"]) {
  switch (request.case) {
    case "listServices":
      return {
        case: "listServicesResponse" as const,
        value: { service: index.services.map((name) => ({ name })) },
      };
    case "fileByFilename":
      return fileOr(index.byName(request.value), `file "${request.value}"`);
    case "fileContainingSymbol":
      return fileOr(index.bySymbol(request.value), `symbol "${request.value}"`);
    case "fileContainingExtension": {
      const { containingType, extensionNumber } = request.value;
      return fileOr(
        index.extension(containingType, extensionNumber),
        `extension ${extensionNumber} of "${containingType}"`,
      );
    }
    case "allExtensionNumbersOfType":
      if (!index.isMessage(request.value)) return fileOr(undefined, `message "${request.value}"`);
      return {
        case: "allExtensionNumbersResponse" as const,
        value: {
          baseTypeName: request.value,
          extensionNumber: index.extensionNumbers(request.value),
        },
      };
    default:
      return {
        case: "errorResponse" as const,
        value: { errorCode: Code.InvalidArgument, errorMessage: "the request asks for nothing" },
      };
  }
}

/** The file and all that it imports, since clients otherwise ask for those one by one. */
function fileOr(file: DescFile | undefined, what: string) {
  if (file === undefined) {
    return {
      case: "errorResponse" as const,
      value: { errorCode: Code.NotFound, errorMessage: `there is no ${what} here` },
    };
  }
  const files = new Map<string, DescFile>();
  addWithImports(files, file);
  return {
    case: "fileDescriptorResponse" as const,
    value: {
      fileDescriptorProto: Array.from(files.values(), (one) =>
        toBinary(FileDescriptorProtoSchema, one.proto),
      ),
    },
  };
}
