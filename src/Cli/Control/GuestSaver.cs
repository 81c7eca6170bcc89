using System.Globalization;
using Dbt.Cli.Api;
using Dbt.Cli.Running;
using Dbt.Devices;
using Dbt.Devices.Snapshot;
using Dbt.Xen.Snapshot;
using Domain = Dbt.Xen.Domain;

namespace Dbt.Cli.Control;

/// <summary>Saves one guest to a file. Whatever goes wrong, the guest goes on and no file is left.</summary>
/// <param name="guest">The guest.</param>
/// <param name="domain">Its domain.</param>
/// <param name="devices">Its devices.</param>
/// <param name="report">Told how far it is.</param>
internal sealed class GuestSaver(Guest guest, Domain domain, DeviceHost devices, Action<Progress> report)
{
    private const int DefaultSuspendSeconds = 60;
    private const string FeatureNode = "/control/feature-suspend", RequestNode = "/control/shutdown";

    /// <summary>Saves it. Afterwards it is paused and its devices are held: the caller lets it go on, by <see cref="GoOn"/>, or ends it.</summary>
    /// <exception cref="ControlException">It can't be saved, or not written.</exception>
    /// <exception cref="OperationCanceledException">Somebody ended the saving.</exception>
    public async Task SaveAsync(SaveRequest request, CancellationToken cancellation)
    {
        if (!Path.IsPathFullyQualified(request.Path))
        {
            throw new ControlException(ControlError.Invalid, $"'{request.Path}' is no full path");
        }

        if (devices.WhyItStays is { } why)
        {
            throw new ControlException(ControlError.Refused, why);
        }

        _suspended = await SuspendAsync(request, cancellation).ConfigureAwait(false);
        domain.Pause();
        devices.Hold();
        try
        {
            await Task.Run(() => WriteFile(request.Path, cancellation), cancellation).ConfigureAwait(false);
        }
        catch (Exception exception)
        {
            GoOn();
            throw exception is SnapshotException ? new ControlException(ControlError.Refused, exception.Message)
                : exception is IOException or UnauthorizedAccessException ? new ControlException(ControlError.Refused, $"{request.Path}: can't be written: {exception.Message}")
                : exception;
        }
    }

    private bool _suspended;

    /// <summary>Lets it go on where it was.</summary>
    public void GoOn()
    {
        devices.Release();
        domain.Resume();
        if (_suspended)
        {
            domain.EndSuspend();
        }
    }

    private void WriteFile(string path, CancellationToken cancellation)
    {
        if (domain.IsStopped)
        {
            throw new ControlException(ControlError.Refused, $"{guest.Name} has stopped");
        }

        devices.FlushDisks();
        WholeFile.Write(path, file => SnapshotWriter.Write(
            file, domain, devices, _suspended ? ImageKind.Suspended : ImageKind.Live, SavedGuest.Describe(guest.Origin, guest.KernelDigest),
            progress => report(new Progress { Pages = (ulong)progress.Pages, AllPages = (ulong)progress.AllPages, Bytes = (ulong)progress.Bytes }), cancellation), cancellation);
    }

    /// <returns>Whether it has suspended itself, and waits.</returns>
    private async Task<bool> SuspendAsync(SaveRequest request, CancellationToken cancellation)
    {
        bool automatic = request.Kind == SaveRequest.Types.Kind.Automatic;
        bool able = domain.CancelsSuspend && devices.Store.Read(devices.Home + FeatureNode) == "1";
        if (request.Kind == SaveRequest.Types.Kind.Live || (automatic && (!able || !domain.IsTranslated || request.KeepRunning)))
        {
            return false;
        }

        if (!able)
        {
            throw new ControlException(ControlError.Refused, $"{guest.Name} can't suspend itself so that it could be restored; save it live (--kind live)");
        }

        var patience = TimeSpan.FromSeconds(request.SuspendSeconds == 0 ? DefaultSuspendSeconds : request.SuspendSeconds);
        Task suspended = domain.AwaitSuspend();
        devices.Store.Write(devices.Home + RequestNode, "suspend");
        try
        {
            await suspended.WaitAsync(patience, cancellation).ConfigureAwait(false);
            return true;
        }
        catch (Exception exception) when (exception is TimeoutException or OperationCanceledException)
        {
            if (!domain.CancelSuspend())
            {
                // It did in the last moment.
                if (exception is TimeoutException)
                {
                    return true;
                }

                domain.EndSuspend();
                throw;
            }

            devices.Store.Write(devices.Home + RequestNode, "");
            string late = string.Create(CultureInfo.InvariantCulture, $"{guest.Name} has not suspended itself within {patience.TotalSeconds:0} s");
            if (exception is OperationCanceledException || !automatic)
            {
                throw exception is OperationCanceledException ? exception : new ControlException(ControlError.Refused, late);
            }

            report(new Progress { Note = $"{late}; it is saved live" });
            return false;
        }
    }
}
