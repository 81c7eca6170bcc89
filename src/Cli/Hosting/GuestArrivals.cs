using Dbt.Cli.Commands;
using Dbt.Cli.Config;
using Dbt.Cli.Consoles;
using Dbt.Cli.Control;
using Dbt.Cli.Migration;
using Dbt.Cli.Migration.Messages;
using Dbt.Cli.Running;
using Dbt.Runtime;
using Dbt.Xen.Builder;
using Dbt.Xen.Snapshot;

namespace Dbt.Cli.Hosting;

/// <summary>Makes guests that come to the daemon.</summary>
internal sealed class GuestArrivals(DaemonHost daemon, TextWriter log) : IArrivals
{
    private static readonly TimeSpan TracesLimit = TimeSpan.FromSeconds(30);

    /// <inheritdoc/>
    public IArrivingGuest Prepare(Offer offer)
    {
        DaemonHost.Stay stay = daemon.KeepAlive();
        try
        {
            DomainHeader header = ReadHeader(offer);
            GuestConfig config = ReadConfiguration(offer, header);
            AwaitOwnTraces(header);
            var options = new GuestOptions
            {
                Engine = EngineNames.Parse(offer.Engine) ?? throw new MigrationException($"there is no engine '{offer.Engine}' here"),
                PortableFloatingPoint = DaemonHost.PortableFloatingPoint,
                CodeFolder = config.KeepsCode ? CodeFolder.Default : null,
                HangAfter = HangWatch.Default,
                HangAdvice = DaemonHost.HangAdvice,
                Paused = offer.Paused,
            };
            if (daemon.Guests.Guests.Any(other => other.Name == header.Name))
            {
                throw new MigrationException($"a domain of that name is there already: {header.Name}");
            }

            Rehearsal.Once(header.IsTranslated);
            var image = GuestImage.Load(config, options, daemon.Guests.Files);
            var networks = new EarlyNetworks(config);
            Guest? guest = null;
            try
            {
                guest = Guest.Expect(daemon.Guests, config with { Networks = networks.Cards }, options, image, header, new GuestConsole(), log);
                return new ArrivingGuest(guest, header.Name, guest.PrepareDomain(image, header), networks, offer.Paused, _ => daemon.Adopt(guest, stay), stay.Dispose);
            }
            catch
            {
                networks.Dispose();
                guest?.NeverCame();
                throw;
            }
        }
        catch (Exception exception) when (exception is ConfigException or DomainBuildException or ControlException or HostException or SnapshotException or OutOfMemoryException)
        {
            stay.Dispose();
            throw new MigrationException(exception.Message, exception);
        }
        catch
        {
            stay.Dispose();
            throw;
        }
    }

    // It was here a moment ago: its memory and its identity are about to be free.
    private void AwaitOwnTraces(DomainHeader header)
    {
        foreach (Guest trace in daemon.Guests.Guests.Where(other => other.Uuid == header.Uuid && other.HasDeparted))
        {
            _ = trace.Control.EndOfGuest.Wait(TracesLimit);
        }
    }

    private static DomainHeader ReadHeader(Offer offer) => DomainHeader.Read(new SectionReader(SectionType.Header, 0, offer.Header.ToByteArray()));

    // Disks may be held by the source still, on this host or by a shared file system's locks; they are taken over when it lets go.
    private static GuestConfig ReadConfiguration(Offer offer, DomainHeader header)
    {
        if (!Path.IsPathFullyQualified(offer.Folder))
        {
            throw new MigrationException($"folder: '{offer.Folder}' is no full path");
        }

        GuestConfig config = new ConfigOrigin(offer.Configuration, offer.Source.Length == 0 ? null : offer.Source, offer.Folder).Read([], disksAreHeld: true);
        return config with { Name = header.Name, Uuid = header.Uuid };
    }
}
