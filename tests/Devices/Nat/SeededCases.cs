using CsCheck;

namespace Dbt.Tests.Devices.Nat;

/// <summary>Cases of a generator that are the same in every run: CsCheck's own Sample takes a seed for its first case only.</summary>
internal static class SeededCases
{
    public static void Repeat<T>(this Gen<T> cases, Action<T> check, int iterations)
    {
        for (uint i = 0; i < iterations; i++)
        {
            T value = cases.Generate(new PCG(i, 0x5EED_0000 + i), null, out _);
            try
            {
                check(value);
            }
            catch (Exception exception)
            {
                throw new Xunit.Sdk.XunitException($"case {i}: {exception}");
            }
        }
    }
}
