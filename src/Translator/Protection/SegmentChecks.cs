using Dbt.Translator.State;

namespace Dbt.Translator.Protection;

/// <summary>Checks of segments that are loaded together with a change of level: the vector depends on who asks.</summary>
internal static unsafe class SegmentChecks
{
    /// <summary>
    /// The stack segment of a level: not null, of that level in RPL and DPL, writable (all <paramref name="vector"/>), present (#SS).
    /// </summary>
    public static bool TryStack(SystemUnit system, CpuState* cpu, ushort selector, int level, Vector vector, uint external, out Segment segment)
    {
        segment = default;
        uint error = (selector & 0xFFFCu) | external;
        if ((selector & 0xFFFC) == 0)
        {
            return SystemUnit.Raise(cpu, vector, external);
        }

        if (!system.Descriptors.TryRead(cpu, selector, vector, external, out ulong descriptor))
        {
            return false;
        }

        segment = Segment.FromDescriptor(selector, descriptor);
        if ((selector & 3) != level || segment.Dpl != level || !segment.Writable)
        {
            return SystemUnit.Raise(cpu, vector, error);
        }

        return segment.Present ? system.Descriptors.TrySetAccessed(cpu, ref segment) : SystemUnit.Raise(cpu, Vector.StackFault, error);
    }

    /// <summary>A present code segment of a selector that isn't null, whatever its level. #GP or #NP.</summary>
    public static bool TryCode(SystemUnit system, CpuState* cpu, ushort selector, uint external, out Segment segment)
    {
        segment = default;
        if ((selector & 0xFFFC) == 0)
        {
            return SystemUnit.Raise(cpu, Vector.GeneralProtection, external);
        }

        if (!system.Descriptors.TryRead(cpu, selector, Vector.GeneralProtection, external, out ulong descriptor))
        {
            return false;
        }

        segment = Segment.FromDescriptor(selector, descriptor);
        return segment.IsCode || SystemUnit.Raise(cpu, Vector.GeneralProtection, (selector & 0xFFFCu) | external);
    }

    /// <summary>Whether a code segment is conforming.</summary>
    public static bool IsConforming(in Segment code) => (code.Attributes & 0x1C) == 0x1C;
}
