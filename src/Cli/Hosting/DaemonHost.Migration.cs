using Dbt.Cli.Control;
using Dbt.Cli.Migration;
using Dbt.Cli.Running;

namespace Dbt.Cli.Hosting;

/// <content>Guests that come from other daemons.</content>
internal sealed partial class DaemonHost
{
    private volatile MigrationListener? _listener;

    /// <summary>Listens for them, in the place of where it listened before.</summary>
    /// <param name="address">ADDRESS, ADDRESS:PORT or [ADDRESS]:PORT.</param>
    /// <returns>Where it listens.</returns>
    /// <exception cref="ControlException">It can't, or the daemon ends.</exception>
    public string Listen(string address)
    {
        Enter();
        try
        {
            var security = new SecureConnection(MigrationIdentity.DefaultFolder);
            _listener?.Dispose();
            _listener = null;
            _listener = new MigrationListener(address, security, new GuestArrivals(this, _log), new MigrationOptions(), _log.WriteLine);
            string where = _listener.EndPoint.ToString();
            _log.WriteLine($"dbt: guests may come to {where}");
            return where;
        }
        catch (MigrationException exception)
        {
            throw new ControlException(ControlError.Refused, exception.Message);
        }
        finally
        {
            Leave();
        }
    }

    /// <summary>The daemon doesn't end until this is disposed.</summary>
    /// <exception cref="ControlException">It ends already.</exception>
    public Stay KeepAlive()
    {
        Enter();
        return new Stay(this);
    }

    /// <summary>A guest that came is the daemon's from now on.</summary>
    public void Adopt(Guest guest, Stay stay)
    {
        _ = RunAsync(guest, held: null);
        stay.Dispose();
        _log.WriteLine($"dbt: {guest.Name} came from another host");
    }

    /// <summary>See <see cref="KeepAlive"/>.</summary>
    public sealed class Stay(DaemonHost daemon) : IDisposable
    {
        private int _disposed;

        /// <inheritdoc/>
        public void Dispose()
        {
            if (Interlocked.Exchange(ref _disposed, 1) == 0)
            {
                daemon.Leave();
            }
        }
    }
}
