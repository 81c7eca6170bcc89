using System.Globalization;
using System.Text;
using Dbt.Translator.State;
using Dbt.Xen.Memory;

namespace Dbt.Xen.Diagnostics;

/// <summary>For reports: the page-table entries, from the top down, by which a processor comes to where it was and to what it missed (CR2).</summary>
internal static unsafe class PageTableListing
{
    /// <summary>Writes a line for each of the two addresses.</summary>
    public static void Write(StringBuilder text, Vcpu vcpu)
    {
        CpuState* cpu = vcpu.State;
        uint code = cpu->Segments[SegmentIndex.Cs].Base + cpu->Eip;
        text.AppendLine(CultureInfo.InvariantCulture, $"Page tables of EIP {code:x8}: {Describe(vcpu, code)}");
        if (cpu->Cr2 != 0)
        {
            text.AppendLine(CultureInfo.InvariantCulture, $"Page tables of CR2 {cpu->Cr2:x8}: {Describe(vcpu, cpu->Cr2)}");
        }
    }

    /// <summary>The entries of each level of an address.</summary>
    public static string Describe(Vcpu vcpu, uint linear)
    {
        var text = new StringBuilder();
        for (int level = 3; level >= 1; level--)
        {
            var line = new Line { Text = text, Level = level };
            if (vcpu.Domain.Memory.ApplyToPageRange(vcpu, linear, 1, level, ref line) == PageRangeEnd.OutOfRange)
            {
                return "the hypervisor's";
            }
        }

        return text.Length == 0 ? "none" : text.ToString().TrimEnd();
    }

    private struct Line : IPageTableVisitor
    {
        public StringBuilder Text;
        public int Level;

        public readonly bool Visit(in PageTableSlot slot)
        {
            // A large page is met again where a lower level is asked for.
            if (slot.Level == Level)
            {
                Text.Append(CultureInfo.InvariantCulture, $"L{slot.Level}[{slot.Index}] {slot.Value:x}  ");
            }

            return true;
        }
    }
}
