using Iced.Intel;

namespace Dbt.Translator.Cache;

/// <summary>Machine code that is gone through from its first instruction to its last.</summary>
internal sealed class MachineBlock
{
    // A block may jump to itself.
    private const int MostPassed = 16;

    /// <summary>Its instructions, without the jump at its end and without what is left out.</summary>
    public List<Instruction> Body { get; } = [];

    /// <summary>Bytes of them.</summary>
    public int BodyLength { get; private set; }

    /// <summary>Where it leads if <see cref="Condition"/> holds; null where there is none.</summary>
    public MachineBlock? Branch { get; set; }

    /// <summary>When it leads to <see cref="Branch"/>.</summary>
    public ConditionCode Condition { get; set; }

    /// <summary>Where it leads otherwise; null where it leaves the function.</summary>
    public MachineBlock? Next { get; set; }

    /// <summary>Whether it may be gone through without going back to the dispatcher.</summary>
    public bool IsHot { get; set; }

    /// <summary>The jumps that it is written with.</summary>
    public List<MachineJump> Jumps { get; } = [];

    /// <summary>Offset of its first byte.</summary>
    public int Place { get; set; }

    /// <summary>Adds an instruction at its end.</summary>
    public void Add(in Instruction instruction, int length)
    {
        Body.Add(instruction);
        BodyLength += length;
    }

    /// <summary>Where who goes to it gets at last: nothing but jumps lies between.</summary>
    public MachineBlock Goal()
    {
        MachineBlock goal = this;
        for (int passed = 0; passed < MostPassed && goal is { Body.Count: 0, Branch: null, Next: { } next }; passed++)
        {
            goal = next;
        }

        return goal;
    }
}
