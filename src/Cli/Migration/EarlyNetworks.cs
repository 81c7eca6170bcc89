using Dbt.Cli.Config;
using Dbt.Devices.Network;

namespace Dbt.Cli.Migration;

/// <summary>The networks of a guest that is to come, opened before it does where that is of use (<see cref="EarlyBackend"/>).</summary>
internal sealed class EarlyNetworks : IDisposable
{
    private readonly List<EarlyBackend> _open = [];

    /// <exception cref="Runtime.HostException">One can't be opened.</exception>
    public EarlyNetworks(GuestConfig config)
    {
        try
        {
            Cards = [.. config.Networks.Select(Open)];
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>The guest's cards, which take what is open.</summary>
    public IReadOnlyList<NetworkConfiguration> Cards { get; }

    /// <summary>Closes what no card has taken.</summary>
    public void Dispose() => _open.ForEach(static early => early.Dispose());

    private NetworkConfiguration Open(NetworkConfiguration card)
    {
        if (!EarlyBackend.IsOf(card))
        {
            return card;
        }

        _open.Add(EarlyBackend.Open(card));
        return _open[^1].Card;
    }
}
