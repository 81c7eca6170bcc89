using Dbt.Cli.Api;
using Dbt.Cli.Running;
using Dbt.Xen;
using Domain = Dbt.Xen.Domain;

namespace Dbt.Cli.Control;

/// <content>Its core.</content>
internal sealed partial class ControlledGuest
{
    /// <summary>Writes its core to a file; it is held meanwhile, unless the request says otherwise.</summary>
    /// <exception cref="ControlException">It can't be written.</exception>
    /// <exception cref="OperationCanceledException">Somebody ended it.</exception>
    public async Task DumpCoreAsync(DumpCoreRequest request, Action<Progress> report, CancellationToken cancellation)
    {
        if (!Path.IsPathFullyQualified(request.Path))
        {
            throw new ControlException(ControlError.Invalid, $"'{request.Path}' is no full path");
        }

        Domain dumped = Change((domain, _) =>
        {
            BeginSaving();
            return domain;
        });
        try
        {
            await Task.Run(() => CoreFile.Write(
                request.Path, dumped, request.Live, (pages, all) => report(new Progress { Pages = (ulong)pages, AllPages = (ulong)all, Bytes = (ulong)pages * PageKib << 10 }),
                cancellation), cancellation).ConfigureAwait(false);
            dumped.Log.Add($"its core was written to {request.Path}");
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new ControlException(ControlError.Refused, $"{request.Path}: can't be written: {exception.Message}");
        }
        finally
        {
            EndSaving();
        }

        if (request.Then == DumpCoreRequest.Types.Then.Crash)
        {
            Change((domain, _) =>
            {
                domain.Crash(vcpu: null, "somebody asked for it (dbt dump-core --crash)");
                return true;
            });
        }
        else if (request.Then == DumpCoreRequest.Types.Then.Reset)
        {
            Change((domain, _) =>
            {
                domain.Shutdown(ShutdownReason.Reboot);
                return true;
            });
        }
    }

    // While the domain and its devices are in use by who saves or dumps it: it stays, and nobody else does either. Under the lock.
    private void BeginSaving()
    {
        CheckNotSaving();
        _saving = true;
        _saved.Reset();
    }

    private void EndSaving()
    {
        lock (_lock)
        {
            _saving = false;
            _saved.Set();
        }
    }
}
