using System.Globalization;
using Dbt.Translator.Diagnostics;
using Dbt.Translator.Emit;

namespace Dbt.Tests.Translator.Emission;

/// <summary>How much IL was emitted for something: what RyuJIT's time and its limits go by.</summary>
internal sealed record EmissionFigures
{
    /// <summary>Guest instructions.</summary>
    public int Guest { get; init; }

    /// <summary>Bytes of IL.</summary>
    public int Bytes { get; init; }

    /// <summary>IL instructions.</summary>
    public int Instructions { get; init; }

    /// <summary>IL locals.</summary>
    public int Locals { get; init; }

    /// <summary>IL instructions that name a local.</summary>
    public int LocalReferences { get; init; }

    /// <summary>Basic blocks of IL: where a branch leads, and what is behind one.</summary>
    public int BasicBlocks { get; init; }

    /// <summary>Link cells.</summary>
    public int Links { get; init; }

    /// <summary>Exit sites by kind.</summary>
    public IReadOnlyList<SideExitKind> Exits { get; init; } = [];

    /// <summary>Emits a region and counts.</summary>
    public static EmissionFigures Of(Region region, EmitTarget target)
    {
        EmittedRegion emitted = RegionEmitter.Emit(region, target);
        IReadOnlyList<IlLine> lines = IlReader.Read(emitted.Method);
        Assert.NotEmpty(lines);
        var leaders = new HashSet<int> { 0 };
        var locals = new HashSet<string>();
        int references = 0;
        for (int i = 0; i < lines.Count; i++)
        {
            string[] words = lines[i].Text.Split([' ', '.'], 2);
            if (words[0] is "ldloc" or "stloc" or "ldloca")
            {
                references++;
                locals.Add(words[1].Split(' ')[^1]);
            }
            else if (IsBranch(lines[i].Text))
            {
                leaders.Add(int.Parse(lines[i].Text.Split(' ')[1], NumberStyles.HexNumber, CultureInfo.InvariantCulture));
                AddNext(i);
            }
            else if (words[0] == "ret")
            {
                AddNext(i);
            }
        }

        return new EmissionFigures
        {
            Guest = region.InstructionCount,
            Bytes = emitted.IlBytes,
            Instructions = lines.Count,
            Locals = locals.Count,
            LocalReferences = references,
            BasicBlocks = leaders.Count,
            Links = emitted.Instance.Links.Count,
            Exits = [.. emitted.Sites.Select(site => site.Kind)],
        };

        void AddNext(int i)
        {
            if (i + 1 < lines.Count)
            {
                leaders.Add(lines[i + 1].Offset);
            }
        }
    }

    /// <summary>Those of two translations together; locals are each method's own, and add up.</summary>
    public static EmissionFigures operator +(EmissionFigures one, EmissionFigures other) => new()
    {
        Guest = one.Guest + other.Guest,
        Bytes = one.Bytes + other.Bytes,
        Instructions = one.Instructions + other.Instructions,
        Locals = one.Locals + other.Locals,
        LocalReferences = one.LocalReferences + other.LocalReferences,
        BasicBlocks = one.BasicBlocks + other.BasicBlocks,
        Links = one.Links + other.Links,
        Exits = [.. one.Exits, .. other.Exits],
    };

    private static bool IsBranch(string il) => il.Split(' ', '.')[0] is "br" or "brtrue" or "brfalse" or "beq" or "bne" or "bge" or "bgt" or "ble" or "blt";
}
