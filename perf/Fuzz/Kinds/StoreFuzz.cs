using Dbt.Devices.Store;
using Dbt.Perf.Fuzz.Attackers;
using Dbt.Translator;

namespace Dbt.Perf.Fuzz.Kinds;

/// <summary>
/// Messages to xenstore, well-formed and not, of two hostile domains in turn: transactions that meet, watches, permissions, long paths, wild
/// ring indices. Neither learns the neighbour's secret, and each has no more nodes than it may.
/// </summary>
internal sealed class StoreFuzz : IFuzzKind
{
    // What the toolstack makes for a domain is beyond its own quota.
    private const int ToolstackNodes = 60;

    /// <inheritdoc/>
    public int LongestCase => 4000;

    /// <inheritdoc/>
    public void Run(FuzzInput input, FuzzArena arena)
    {
        using var first = new PvAttacker(arena, EngineKind.Interpreter, 1);
        using var second = new PvAttacker(arena, EngineKind.Interpreter, 1);
        using (var a = new StoreAttack(arena, first))
        using (var b = new StoreAttack(arena, second))
        {
            while (input.HasMore)
            {
                if (input.OneIn(4))
                {
                    b.Step(input, a.Home);
                }
                else
                {
                    a.Step(input, b.Home);
                }
            }

            int owned = arena.CountNodes() - arena.NodesBefore;
            FuzzFinding.Unless(owned <= 2 * (StoreLimits.Nodes + ToolstackNodes), $"two domains made {owned} nodes");
        }

        arena.Notes.Ended(crashed: false, 0, "");
    }

    /// <inheritdoc/>
    public void Dispose()
    {
    }
}
