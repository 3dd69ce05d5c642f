package import JSONText

/// The errors of `org.varlink.service`, which any Varlink service may answer with.
package enum VarlinkServiceError: Hashable, Sendable {
    case interfaceNotFound(String)
    /// With its interface.
    case methodNotFound(String)
    case methodNotImplemented(String)
    case invalidParameter(String)
    case permissionDenied
    case expectedMore

    package var name: String {
        let name =
            switch self {
            case .interfaceNotFound: "InterfaceNotFound"
            case .methodNotFound: "MethodNotFound"
            case .methodNotImplemented: "MethodNotImplemented"
            case .invalidParameter: "InvalidParameter"
            case .permissionDenied: "PermissionDenied"
            case .expectedMore: "ExpectedMore"
            }
        return "\(VarlinkService.name).\(name)"
    }

    package var parameters: JSONValue {
        switch self {
        case .interfaceNotFound(let name): ["interface": JSONValue(name)]
        case .methodNotFound(let name), .methodNotImplemented(let name): ["method": JSONValue(name)]
        case .invalidParameter(let name): ["parameter": JSONValue(name)]
        case .permissionDenied, .expectedMore: [:]
        }
    }
}

/// The interface by which a service introduces itself.
package enum VarlinkService {
    package static let name = "org.varlink.service"

    package static let text = """
        # The Varlink Service Interface is provided by every varlink service. It
        # describes the service and the interfaces it implements.
        interface org.varlink.service

        # Get a list of all the interfaces a service provides and information
        # about the implementation.
        method GetInfo() -> (
          vendor: string,
          product: string,
          version: string,
          url: string,
          interfaces: []string
        )

        # Get the description of an interface that is implemented by this service.
        method GetInterfaceDescription(interface: string) -> (description: string)

        # The requested interface was not found.
        error InterfaceNotFound (interface: string)

        # The requested method was not found
        error MethodNotFound (method: string)

        # The interface defines the requested method, but the service does not
        # implement it.
        error MethodNotImplemented (method: string)

        # One of the passed parameters is invalid.
        error InvalidParameter (parameter: string)

        # Client is denied access
        error PermissionDenied ()

        # Method is expected to be called with 'more' set to true, but wasn't
        error ExpectedMore ()

        """

    package static let definition: VarlinkInterface = {
        guard let definition = VarlinkInterface(parsing: text) else { preconditionFailure("org.varlink.service") }
        return definition
    }()
}
