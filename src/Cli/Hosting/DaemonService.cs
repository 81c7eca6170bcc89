using Dbt.Cli.Api;
using Dbt.Cli.Control;
using Grpc.Core;

namespace Dbt.Cli.Hosting;

/// <summary>The contract's Daemon.</summary>
internal sealed class DaemonService(ControlServices services) : Api.Daemon.DaemonBase
{
    private DaemonHost Daemon => services.Daemon!;

    /// <inheritdoc/>
    public override Task<CreateReply> Create(CreateRequest request, ServerCallContext context) => AnswerAsync(() => Task.Run(() => Daemon.CreateAsync(request)));

    /// <inheritdoc/>
    public override Task Restore(RestoreRequest request, IServerStreamWriter<Progress> responseStream, ServerCallContext context) =>
        ProgressStream.RunAsync(responseStream, context, async (report, cancellation) => await Daemon.RestoreAsync(request, report, cancellation).ConfigureAwait(false));

    /// <inheritdoc/>
    public override Task Clone(CloneRequest request, IServerStreamWriter<Progress> responseStream, ServerCallContext context) =>
        ProgressStream.RunAsync(responseStream, context, async (report, cancellation) => await Daemon.CloneAsync(request, report, cancellation).ConfigureAwait(false));

    /// <inheritdoc/>
    public override Task<Information> GetInformation(InformationRequest request, ServerCallContext context) => AnswerAsync(() => Task.FromResult(Daemon.Describe()));

    /// <inheritdoc/>
    public override Task<ListenReply> Listen(ListenRequest request, ServerCallContext context) =>
        AnswerAsync(() => Task.Run(() => new ListenReply { Address = Daemon.Listen(request.Address) }));

    /// <inheritdoc/>
    public override Task<Done> Stop(StopRequest request, ServerCallContext context) => AnswerAsync(() =>
    {
        Daemon.Stop(request.Force);
        return Task.FromResult(new Done());
    });

    private static async Task<T> AnswerAsync<T>(Func<Task<T>> action)
    {
        try
        {
            return await action().ConfigureAwait(false);
        }
        catch (Exception exception) when (ControlErrors.Of(exception) is { } status)
        {
            throw new RpcException(status);
        }
    }
}
