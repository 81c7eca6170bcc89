using System.Runtime.InteropServices;

namespace Dbt.Tests.Translator;

/// <summary>A theory about the host's own x87 and SSE; skipped, aloud, where the host is not an x86-64.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class X64TheoryAttribute : TheoryAttribute
{
    public X64TheoryAttribute()
    {
        if (RuntimeInformation.ProcessArchitecture != Architecture.X64)
        {
            Skip = "Needs an x86-64 host, whose own instructions are what is tested or compared with.";
        }
    }
}
