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
    private readonly GuestSuspension _suspension = new(guest.Name, domain, devices);

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

        await SuspendAsync(request, cancellation).ConfigureAwait(false);
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

    /// <summary>Lets it go on where it was.</summary>
    public void GoOn()
    {
        devices.Release();
        domain.Resume();
        _suspension.GoOn();
    }

    private void WriteFile(string path, CancellationToken cancellation)
    {
        if (domain.IsStopped)
        {
            throw new ControlException(ControlError.Refused, $"{guest.Name} has stopped");
        }

        devices.FlushDisks();
        WholeFile.Write(path, file => SnapshotWriter.Write(
            file, domain, devices, _suspension.IsSuspended ? ImageKind.Suspended : ImageKind.Live, SavedGuest.Describe(guest.Origin, guest.KernelDigest),
            progress => report(new Progress { Pages = (ulong)progress.Pages, AllPages = (ulong)progress.AllPages, Bytes = (ulong)progress.Bytes }), cancellation), cancellation);
    }

    /// <summary>Has it suspend itself, where it is to be saved so.</summary>
    private async Task SuspendAsync(SaveRequest request, CancellationToken cancellation)
    {
        bool automatic = request.Kind == SaveRequest.Types.Kind.Automatic;
        if (request.Kind == SaveRequest.Types.Kind.Live || (automatic && (!domain.IsTranslated || !_suspension.IsAble || request.KeepRunning)))
        {
            return;
        }

        if (!_suspension.IsAble)
        {
            throw new ControlException(ControlError.Refused, $"{_suspension.Inability}; save it live (--kind live)");
        }

        uint seconds = request.SuspendSeconds == 0 ? GuestSuspension.DefaultSeconds : request.SuspendSeconds;
        if (await _suspension.AskAsync(TimeSpan.FromSeconds(seconds), cancellation).ConfigureAwait(false) is { } late)
        {
            if (!automatic)
            {
                throw new ControlException(ControlError.Refused, late);
            }

            report(new Progress { Note = $"{late}; it is saved live" });
        }
    }
}
