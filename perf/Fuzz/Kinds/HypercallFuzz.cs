using Dbt.Perf.Fuzz.Attackers;
using Dbt.Translator;

namespace Dbt.Perf.Fuzz.Kinds;

/// <summary>
/// Hypercalls of hostile guest code: paravirtual or PVH, one or two processors, alone or with a second attacker that it may grant to, connect
/// to, and quarrel with.
/// </summary>
internal sealed class HypercallFuzz : IFuzzKind
{
    private const int Milliseconds = 60, MostSteps = 96;
    private static readonly HypercallShape[] s_shapes = HypercallShape.Weighed(HypercallShape.All);

    /// <inheritdoc/>
    public int LongestCase => 3000;

    /// <inheritdoc/>
    public void Run(FuzzInput input, FuzzArena arena)
    {
        var attackers = new List<Attacker>();
        try
        {
            int count = 1 + (input.OneIn(2) ? 1 : 0);
            for (int i = 0; i < count; i++)
            {
                attackers.Add(Make(input, arena));
            }

            AttackWriter[] writers = [.. attackers.Select(attacker => Write(input, arena, attacker, attackers))];
            attackers.ForEach(attacker => attacker.Start());
            attackers.ForEach(attacker => attacker.Finish(arena.Notes, Milliseconds));
            foreach (AttackWriter writer in writers)
            {
                writer.Note(arena.Notes);
            }
        }
        finally
        {
            attackers.ForEach(attacker => attacker.Dispose());
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
    }

    private static Attacker Make(FuzzInput input, FuzzArena arena)
    {
        int kind = input.Byte();
        EngineKind engine = (kind & 4) != 0 ? EngineKind.Quick : EngineKind.Interpreter;
        int vcpus = (kind & 2) != 0 ? 2 : 1;
        return (kind & 1) != 0 ? new PvhAttacker(arena, engine, vcpus) : new PvAttacker(arena, engine, vcpus);
    }

    private static AttackWriter Write(FuzzInput input, FuzzArena arena, Attacker attacker, List<Attacker> all)
    {
        var values = new AttackValues(input, attacker, all.Where(other => other != attacker), arena);
        var writer = new AttackWriter(input, attacker, values, s_shapes);
        writer.WriteGrants();
        int share = MostSteps / (all.Count * attacker.Domain.Vcpus.Count);
        for (int i = 0; i < attacker.Domain.Vcpus.Count; i++)
        {
            writer.WriteScript(i, share, memoryInEight: 1);
        }

        return writer;
    }
}
