using System.Globalization;
using Dbt.Devices;
using Dbt.Xen;

namespace Dbt.Cli.Control;

/// <summary>A guest that is to suspend itself (xenstore control/shutdown), so that it can go on in another domain, or goes on where it is.</summary>
/// <param name="name">Its name.</param>
/// <param name="domain">Its domain.</param>
/// <param name="devices">Its devices.</param>
internal sealed class GuestSuspension(string name, Domain domain, DeviceHost devices)
{
    private const string FeatureNode = "/control/feature-suspend", RequestNode = "/control/shutdown";

    /// <summary>How long a guest has where nobody says otherwise.</summary>
    public const int DefaultSeconds = 60;

    /// <summary>Whether its kernel says that it can, and that it goes on if nothing comes of it.</summary>
    public bool IsAble => domain.CancelsSuspend && devices.Store.Read(devices.Home + FeatureNode) == "1";

    /// <summary>What a person is told where <see cref="IsAble"/> isn't so.</summary>
    public string Inability => $"{name} can't suspend itself so that it could go on elsewhere";

    /// <summary>Whether it has, and waits.</summary>
    public bool IsSuspended { get; private set; }

    /// <summary>Asks it, and waits until it has.</summary>
    /// <param name="patience">How long.</param>
    /// <param name="cancellation">Ends the waiting: it goes on.</param>
    /// <returns>Null where it has; otherwise what a person is told, and it runs on.</returns>
    /// <exception cref="OperationCanceledException">The waiting was ended.</exception>
    public async Task<string?> AskAsync(TimeSpan patience, CancellationToken cancellation)
    {
        Task suspended = domain.AwaitSuspend();
        devices.RequestShutdown("suspend");
        try
        {
            await suspended.WaitAsync(patience, cancellation).ConfigureAwait(false);
            IsSuspended = true;
            return null;
        }
        catch (Exception exception) when (exception is TimeoutException or OperationCanceledException)
        {
            if (!domain.CancelSuspend())
            {
                // It did in the last moment.
                IsSuspended = true;
                if (exception is TimeoutException)
                {
                    return null;
                }

                GoOn();
                throw;
            }

            devices.Store.Write(devices.Home + RequestNode, "");
            if (exception is OperationCanceledException)
            {
                throw;
            }

            return string.Create(CultureInfo.InvariantCulture, $"{name} has not suspended itself within {patience.TotalSeconds:0} s");
        }
    }

    /// <summary>Lets it go on where it is, if it waits.</summary>
    public void GoOn()
    {
        if (IsSuspended)
        {
            IsSuspended = false;
            domain.EndSuspend();
        }
    }
}
