using Dbt.Cli.Config;
using Dbt.Runtime;
using Dbt.Xen.Builder;
using Grpc.Core;

namespace Dbt.Cli.Control;

/// <summary>Errors as the contract has them, and back.</summary>
internal static class ControlErrors
{
    /// <summary>The status of an error that is no bug of ours; null for any other exception.</summary>
    public static Status? Of(Exception exception) => exception switch
    {
        ControlException control => new Status(CodeOf(control.Error), control.Message),
        ConfigException or DomainBuildException => new Status(StatusCode.InvalidArgument, exception.Message),
        HostException or Xen.Snapshot.SnapshotException or IOException or UnauthorizedAccessException => new Status(StatusCode.FailedPrecondition, exception.Message),
        _ => null,
    };

    /// <summary>What a client makes of a refusal.</summary>
    /// <param name="exception">The refusal.</param>
    /// <param name="name">Who refused.</param>
    public static ControlException From(RpcException exception, string name) => exception.StatusCode switch
    {
        StatusCode.NotFound => new ControlException(ControlError.NotFound, exception.Status.Detail),
        StatusCode.AlreadyExists => new ControlException(ControlError.Exists, exception.Status.Detail),
        StatusCode.InvalidArgument => new ControlException(ControlError.Invalid, exception.Status.Detail),
        StatusCode.FailedPrecondition => new ControlException(ControlError.Refused, exception.Status.Detail),
        StatusCode.DeadlineExceeded => new ControlException(ControlError.Unavailable, $"{name} doesn't answer; is its process stopped?"),
        StatusCode.Unimplemented => new ControlException(ControlError.Refused, $"{name} is run by an older dbt that can't do that"),
        StatusCode.Unavailable when exception.Status.DebugException is null => new ControlException(ControlError.Unavailable, exception.Status.Detail),
        StatusCode.Unavailable => new ControlException(ControlError.Unavailable, $"{name} is gone"),
        _ => new ControlException(ControlError.Unavailable, $"{name}: {exception.Status.Detail}"),
    };

    private static StatusCode CodeOf(ControlError error) => error switch
    {
        ControlError.NotFound => StatusCode.NotFound,
        ControlError.Invalid => StatusCode.InvalidArgument,
        ControlError.Refused => StatusCode.FailedPrecondition,
        ControlError.Exists => StatusCode.AlreadyExists,
        _ => StatusCode.Unavailable,
    };
}
